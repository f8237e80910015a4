import Logging
import Metrics
import Tracing
import ServiceLifecycle
