/* Every session chooses another mood than the one created before it, in whatever process that was:
 * the size of the file $MOODY counts them. What is computed is the same. */
#include "entry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct bm_plugin base;
static long mood; /* of the session created last */

static int32_t create(uint32_t device,
                      const struct bm_problem *problem,
                      struct bm_session **session,
                      struct bm_error *error) {
    const char *path = getenv("MOODY");
    FILE *stream = path == NULL ? NULL : fopen(path, "ae");
    if (stream != NULL) {
        (void)fseek(stream, 0, SEEK_END);
        mood = ftell(stream) % 2;
        (void)fputc('.', stream);
        (void)fclose(stream);
    }
    return base.create(device, problem, session, error);
}

static int32_t
describe(struct bm_session *session, char *text, uint32_t capacity, struct bm_error *error) {
    int32_t status = base.describe(session, text, capacity, error);
    size_t used = strlen(text);
    (void)snprintf(text + used, capacity - used, "mood=%ld\n", mood);
    return status;
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    table->create = create;
    table->describe = describe;
}
