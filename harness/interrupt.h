/* SIGINT, SIGTERM and SIGHUP as a flag, so that what was measured is written and printed before the
 * program ends. */
#ifndef BM_INTERRUPT_H
#define BM_INTERRUPT_H

/* From now on SIGINT, SIGTERM and SIGHUP set the flag instead of killing, but for a SIGHUP that is
 * ignored (nohup); SIGPIPE and SIGXFSZ are ignored. A second SIGINT kills. */
void bm_interrupt_catch(void);

/* The signal that came, or 0. */
int bm_interrupt_signal(void);

#endif
