/*
** dq_mutant.h - known bugs that can be switched on, for the simulator, which
** builds the shim with DQ_MUTANTS. In any other build DQ_MUTANT(n) is 0.
*/
#ifndef DQ_MUTANT_H
#define DQ_MUTANT_H

#ifdef DQ_MUTANTS
#include "dqlite_shim.h"
extern int dq_mutant;
DQ_EXPORT void dq_mutant_set(int number); /* 0: none */
#define DQ_MUTANT(n) (dq_mutant == (n))
#else
#define DQ_MUTANT(n) 0
#endif

#endif
