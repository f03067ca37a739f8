#include "conform_queue.h"

#include "interrupt.h"

#include <pthread.h>

#define JOBS_MAX 64u

struct queue {
    const struct bm_conform_subject *subject;
    struct bm_conform_slot *slots;
    uint32_t count;
    uint32_t next; /* not taken yet */
    pthread_mutex_t lock;
    pthread_cond_t done;
};

/* Takes the next case and runs it; 0 when there is none left. After a signal it is done unrun. */
static int run_next(struct queue *queue) {
    (void)pthread_mutex_lock(&queue->lock);
    uint32_t index = queue->next < queue->count ? queue->next++ : queue->count;
    (void)pthread_mutex_unlock(&queue->lock);
    if (index == queue->count) {
        return 0;
    }
    json_t *object = bm_interrupt_signal() == 0
                         ? bm_conform_ask(queue->subject, queue->slots[index].which)
                         : NULL;
    (void)pthread_mutex_lock(&queue->lock);
    queue->slots[index].object = object;
    queue->slots[index].is_done = 1;
    (void)pthread_cond_broadcast(&queue->done);
    (void)pthread_mutex_unlock(&queue->lock);
    return 1;
}

static void *run_all(void *context) {
    while (run_next(context)) {
    }
    return NULL;
}

static json_t *wait_for(struct queue *queue, uint32_t index) {
    (void)pthread_mutex_lock(&queue->lock);
    while (!queue->slots[index].is_done) {
        (void)pthread_cond_wait(&queue->done, &queue->lock);
    }
    (void)pthread_mutex_unlock(&queue->lock);
    return queue->slots[index].object;
}

/* With no thread at all the caller runs each case when its turn comes. */
static void hand_over(struct queue *queue, uint32_t threads, bm_conform_show *show, void *context) {
    for (uint32_t i = 0; i < queue->count; i++) {
        show(context, queue->slots[i].which, NULL);
        if (threads == 0) {
            (void)run_next(queue);
        }
        json_t *object = wait_for(queue, i);
        if (object != NULL) {
            show(context, queue->slots[i].which, object);
        }
    }
}

static void run_queue(struct queue *queue, uint32_t jobs, bm_conform_show *show, void *context) {
    pthread_t threads[JOBS_MAX];
    uint32_t started = 0;
    while (jobs > 1 && started < jobs && started < JOBS_MAX &&
           pthread_create(&threads[started], NULL, run_all, queue) == 0) {
        started++;
    }
    hand_over(queue, started, show, context);
    for (uint32_t i = 0; i < started; i++) {
        (void)pthread_join(threads[i], NULL);
    }
}

void bm_conform_ask_all(const struct bm_conform_subject *subject,
                        struct bm_conform_slot *slots,
                        uint32_t count,
                        uint32_t jobs,
                        bm_conform_show *show,
                        void *context) {
    struct queue queue = {.subject = subject,
                          .slots = slots,
                          .count = count,
                          .lock = PTHREAD_MUTEX_INITIALIZER,
                          .done = PTHREAD_COND_INITIALIZER};
    run_queue(&queue, jobs, show, context);
}
