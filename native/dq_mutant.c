/* dq_mutant.c - see dq_mutant.h; empty in a shipped build. */
#include "dq_mutant.h"

#ifdef DQ_MUTANTS
int dq_mutant;

void dq_mutant_set(int number) { dq_mutant = number; }
#else
typedef int dq_no_mutants; /* a translation unit needs something */
#endif
