/*
 * Marks a function as an element loop: the compiler makes a version of it for each of a few
 * instruction sets, and the loader takes the one that the processor and its operating system
 * offer. Under a sanitizer there is one version, since the choice runs before the sanitizer does.
 */
#ifndef BM_BLAS_LOOP_H
#define BM_BLAS_LOOP_H

#if defined(__x86_64__) && defined(__gnu_linux__) && !defined(BM_SANITIZED)
#define BM_BLAS_LOOP __attribute__((target_clones("avx512f", "avx2", "default")))
#define BM_BLAS_LOOP_ISA "best of baseline, avx2, avx512f"
#else
#define BM_BLAS_LOOP
#define BM_BLAS_LOOP_ISA "baseline"
#endif

#endif
