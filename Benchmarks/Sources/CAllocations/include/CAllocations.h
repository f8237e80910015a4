#pragma once
#include <stdint.h>

/// How often memory was asked for since the process started. Counts on Linux with glibc; elsewhere always 0.
uint64_t allocation_count(void);
