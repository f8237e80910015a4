// Stands before glibc's allocator in this one program and counts.
#include "CAllocations.h"
#include <stdatomic.h>

static _Atomic uint64_t count;

static _Atomic int enabled;

uint64_t allocation_count(void) {
    atomic_store(&enabled, 1);
    return atomic_load_explicit(&count, memory_order_relaxed);
}

#if defined(__GLIBC__) || (defined(__linux__) && !defined(__ANDROID__))
#include <stddef.h>
#include <errno.h>

extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static inline void counted(void) { if (atomic_load_explicit(&enabled, memory_order_relaxed)) atomic_fetch_add_explicit(&count, 1, memory_order_relaxed); }

void *malloc(size_t size) { counted(); return __libc_malloc(size); }
void *calloc(size_t number, size_t size) { counted(); return __libc_calloc(number, size); }
void *realloc(void *pointer, size_t size) { counted(); return __libc_realloc(pointer, size); }
void *memalign(size_t alignment, size_t size) { counted(); return __libc_memalign(alignment, size); }
void *aligned_alloc(size_t alignment, size_t size) { counted(); return __libc_memalign(alignment, size); }
int posix_memalign(void **pointer, size_t alignment, size_t size) {
    counted();
    *pointer = __libc_memalign(alignment, size);
    return *pointer ? 0 : ENOMEM;
}
#endif
