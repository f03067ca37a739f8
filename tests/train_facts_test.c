/* The noise of a gradient, and SWAP after it, with a worker that fails: what is lost is in the
 * record and counts, and who is gone is not asked. In place of the worker a thread answers. */
#include "interrupt.h"
#include "test.h"
#include "train_facts.h"
#include "train_swap.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

static char folder[] = "/tmp/batchmark-facts-XXXXXX";
static char record_path[64];

static void clean_up(void) {
    char partial[96];
    (void)snprintf(partial, sizeof partial, "%s.partial", record_path);
    (void)unlink(partial);
    (void)rmdir(folder);
}

/* ---- The worker ---- */

struct actor {
    int command_fd;
    int reply_fd;
    const char *reply; /* to every question; NULL: none, and this process is interrupted */
    uint32_t good;     /* questions before these, which are answered well */
};

#define GOOD "{\"status\": \"ok\", \"reason\": \"\", \"scale\": 5.0}"

static void *answer(void *argument) {
    struct actor *actor = argument;
    struct bm_frame_buffer buffer = {0};
    struct bm_error error;
    json_t *command = NULL;
    while (bm_channel_receive(actor->command_fd, &buffer, &command, &error) == BM_STATUS_OK &&
           command != NULL) {
        json_decref(command);
        int is_good = actor->good > 0;
        actor->good -= is_good != 0;
        if (!is_good && actor->reply == NULL) {
            (void)kill(getpid(), SIGINT);
            continue;
        }
        json_t *reply = json_loads(is_good ? GOOD : actor->reply, 0, NULL);
        TEST_CHECK(bm_channel_send(actor->reply_fd, reply, &error) == BM_STATUS_OK);
        json_decref(reply);
    }
    bm_frame_buffer_deinit(&buffer);
    (void)close(actor->command_fd);
    (void)close(actor->reply_fd);
    return NULL;
}

static void
start_actor(struct actor *actor, struct bm_worker *worker, uint32_t good, const char *reply) {
    int command[2];
    int replies[2];
    TEST_CHECK(pipe(command) == 0 && pipe(replies) == 0);
    TEST_CHECK(fcntl(replies[0], F_SETFL, O_NONBLOCK) == 0);
    *actor = (struct actor){
        .command_fd = command[0], .reply_fd = replies[1], .reply = reply, .good = good};
    *worker = (struct bm_worker){.pid = getpid(),
                                 .in_process = 1,
                                 .command_fd = command[1],
                                 .reply_fd = replies[0],
                                 .stdout_fd = -1,
                                 .stderr_fd = -1};
    TEST_CHECK(pthread_create(&worker->thread, NULL, answer, actor) == 0);
}

/* ---- A campaign ---- */

struct fixture {
    struct bm_options options;
    struct bm_campaign campaign;
    struct bm_plugin_file file;
    struct bm_plugin_answer answer;
    struct bm_row row;
    struct bm_train train;
    struct bm_train_setting setting;
    struct bm_error error;
    struct actor actor;
};

static void set_options(struct bm_options *options) {
    options->hang_time_s = 60;
    options->train.base_batch = 100;
    options->train.momentum = (double)NAN;
    options->train.weight_decay = (double)NAN;
    options->train.swap = 2;
    options->train.swap_epochs = 1;
    (void)snprintf(options->train.momentum_form, sizeof options->train.momentum_form, "lecture");
}

static void set_case(struct bm_campaign *campaign) {
    campaign->dataset.class_count = 4;
    campaign->dataset.split[BM_SPLIT_TRAIN].count = 500;
    campaign->of.dataset = &campaign->dataset;
    campaign->of.model = &campaign->model;
    campaign->of.precision = BM_PRECISION_FLOAT32;
    campaign->of.threads = 1;
    campaign->of.seed = 1;
}

/* A training was made, and its worker now answers that, after so many good answers. */
static struct fixture *create_later(uint32_t good, const char *reply) {
    struct fixture *f = calloc(1, sizeof *f);
    TEST_CHECK(f != NULL);
    set_options(&f->options);
    set_case(&f->campaign);
    f->campaign.options = &f->options;
    f->campaign.error = &f->error;
    f->campaign.objects = json_array();
    TEST_CHECK_MSG(bm_record_create(record_path, 0, &f->campaign.record, &f->error) == BM_STATUS_OK,
                   "%s", f->error.text);
    (void)snprintf(f->file.name, sizeof f->file.name, "actor");
    f->row.options = &f->options;
    f->row.file = &f->file;
    f->row.answer = &f->answer;
    f->train.campaign = &f->campaign;
    f->train.was_made = 1;
    (void)snprintf(f->train.checkpoint, sizeof f->train.checkpoint, "%s.checkpoint", record_path);
    f->setting = (struct bm_train_setting){
        .row = &f->row, .schedule = "constant", .batch = 32, .requested = 32, .rate = 0.1};
    start_actor(&f->actor, &f->row.worker[0], good, reply);
    return f;
}

static struct fixture *create(const char *reply) {
    return create_later(0, reply);
}

static void destroy(struct fixture *f) {
    if (bm_worker_running(&f->row.worker[0])) {
        bm_worker_stop(&f->row.worker[0]);
    }
    bm_record_discard(&f->campaign.record);
    json_decref(f->campaign.objects);
    free(f);
}

static size_t count_objects(const struct fixture *f) {
    return json_array_size(f->campaign.objects);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    TEST_CHECK_MSG(text != NULL, "no %s", key);
    return text;
}

static void check_outcome(const struct fixture *f, uint32_t crashed, uint32_t lost) {
    const struct bm_outcome *found = &f->campaign.outcome;
    TEST_CHECK_MSG(found->crashed == crashed && found->lost == lost && found->measured == 0 &&
                       found->refused == 0 && found->wrong == 0 && found->write_failed == 0,
                   "%u crashed, %u lost, %u measured", found->crashed, found->lost,
                   found->measured);
}

/* ---- Noise ---- */

struct fault {
    const char *reply;
    const char *status;
    uint32_t crashed;
    uint32_t lost;
};

static const struct fault faults[] = {
    {"{\"status\": \"timeout\", \"reason\": \"none today\"}", "timeout", 1, 0},
    {"{\"status\": \"error\", \"reason\": \"none today\"}", "error", 0, 1},
    {"{\"status\": \"unsupported\", \"reason\": \"none today\"}", "unsupported", 0, 0},
};

/* At the start it is the session that cannot be had. */
static void check_fault(const struct fault *fault, const char *at) {
    struct fixture *f = create(fault->reply);
    bm_train_noise(&f->train, &f->setting, at);
    TEST_CHECK_MSG(count_objects(f) == 1, "%s at the %s: %zu objects", fault->status, at,
                   count_objects(f));
    const json_t *noise = json_array_get(f->campaign.objects, 0);
    TEST_CHECK_STR(text_of(noise, "kind"), "noise");
    TEST_CHECK_STR(text_of(noise, "at"), at);
    TEST_CHECK_STR(text_of(noise, "status"), fault->status);
    TEST_CHECK_STR(text_of(noise, "reason"), "none today");
    TEST_CHECK(json_object_get(noise, "scale") == NULL);
    check_outcome(f, fault->crashed, fault->lost);
    TEST_CHECK(f->row.failures == fault->crashed);
    /* As where a record with it is resumed: it counts again, and is not asked for again. */
    f->campaign.outcome = (struct bm_outcome){0};
    f->train.was_made = 0;
    bm_train_noise(&f->train, &f->setting, at);
    TEST_CHECK(count_objects(f) == 1);
    check_outcome(f, fault->crashed, fault->lost);
    destroy(f);
}

static void test_found(void) {
    struct fixture *f = create(GOOD);
    bm_train_noise(&f->train, &f->setting, "end");
    TEST_CHECK(count_objects(f) == 1);
    const json_t *noise = json_array_get(f->campaign.objects, 0);
    TEST_CHECK_STR(text_of(noise, "status"), "ok");
    TEST_CHECK(json_number_value(json_object_get(noise, "scale")) == 5);
    check_outcome(f, 0, 0);
    f->train.was_made = 0;
    bm_train_noise(&f->train, &f->setting, "end");
    TEST_CHECK(count_objects(f) == 1);
    check_outcome(f, 0, 0);
    destroy(f);
}

/* Nothing is asked of a session that is another's. */
static void test_not_made(void) {
    struct fixture *f = create(GOOD);
    f->train.was_made = 0;
    bm_train_noise(&f->train, &f->setting, "end");
    TEST_CHECK(count_objects(f) == 0);
    destroy(f);
}

/* ---- SWAP after it ---- */

/* A final that ended well; the caller's. */
static json_t *make_final(void) {
    return json_pack("{s:s, s:n, s:n, s:n}", "status", "ok", "train", "validation", "test");
}

static void check_no_start(struct fixture *f) {
    json_t *final = make_final();
    size_t before = count_objects(f);
    TEST_CHECK(!bm_worker_running(&f->row.worker[0]));
    bm_train_swap(&f->train, &f->setting, final);
    TEST_CHECK(count_objects(f) == before + 1);
    const json_t *swap = json_array_get(f->campaign.objects, before);
    TEST_CHECK_STR(text_of(swap, "kind"), "swap");
    TEST_CHECK_STR(text_of(swap, "status"), "skipped");
    json_decref(final);
}

static void test_swap_of_a_lost_worker(void) {
    struct fixture *f = create(faults[0].reply);
    bm_train_noise(&f->train, &f->setting, "end");
    check_no_start(f);
    destroy(f);
}

/* The questions that are well answered say where it fails: the last state is saved, and, of an
 * average of no training at all, a session and a trainer are opened. */
static void check_swap_fault(const struct fault *fault, uint32_t good) {
    struct fixture *f = create_later(good, fault->reply);
    json_t *final = make_final();
    f->options.train.swap = 0;
    bm_train_swap(&f->train, &f->setting, final);
    TEST_CHECK(count_objects(f) == 1);
    const json_t *swap = json_array_get(f->campaign.objects, 0);
    TEST_CHECK_STR(text_of(swap, "kind"), "swap");
    TEST_CHECK_STR(text_of(swap, "status"), fault->status);
    TEST_CHECK_STR(text_of(swap, "reason"), "none today");
    check_outcome(f, fault->crashed, fault->lost);
    /* As where a record with it is resumed. */
    f->campaign.outcome = (struct bm_outcome){0};
    f->train.was_made = 0;
    bm_train_swap(&f->train, &f->setting, final);
    TEST_CHECK(count_objects(f) == 1);
    check_outcome(f, fault->crashed, fault->lost);
    json_decref(final);
    destroy(f);
}

/* An interrupted noise is none. From here on this process is interrupted. */
static void test_interrupted(void) {
    struct fixture *f = create(NULL);
    bm_train_noise(&f->train, &f->setting, "end");
    TEST_CHECK(bm_interrupt_signal() == SIGINT && count_objects(f) == 0);
    check_outcome(f, 0, 0);
    check_no_start(f);
    destroy(f);
}

int main(void) {
    TEST_CHECK(mkdtemp(folder) != NULL && atexit(clean_up) == 0);
    (void)snprintf(record_path, sizeof record_path, "%s/record.jsonl", folder);
    bm_interrupt_catch();
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        check_fault(&faults[i], "start");
        check_fault(&faults[i], "end");
        check_swap_fault(&faults[i], 0);
        check_swap_fault(&faults[i], 1);
        check_swap_fault(&faults[i], 3);
    }
    test_found();
    test_not_made();
    test_swap_of_a_lost_worker();
    test_interrupted();
    return 0;
}
