#pragma once
#include <stdint.h>

/// How often memory was asked for since this was first called. Counts on Linux with glibc; elsewhere always 0.
uint64_t allocation_count(void);
