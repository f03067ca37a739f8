/* Every update sleeps first where the delay plugin is loaded too: slower by it, whatever delay it
 * is asked for. */
#include "entry.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static struct bm_plugin base;

static int32_t is_watched(void) {
    char line[4096];
    int32_t found = 0;
    FILE *maps = fopen("/proc/self/maps", "re");
    while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL) {
        found = strstr(line, "/bm_delay.so") != NULL;
    }
    if (maps != NULL) {
        (void)fclose(maps);
    }
    return found;
}

static int32_t update(struct bm_session *session,
                      const struct bm_slice *slice,
                      const struct bm_hyper *hyper,
                      struct bm_error *error) {
    const struct timespec pause = {0, 10000000};
    (void)nanosleep(&pause, NULL);
    return base.update(session, slice, hyper, error);
}

static void spoil(struct bm_plugin *table) {
    base = *table;
    if (is_watched()) {
        table->update = update;
        table->updates = NULL;
    }
}
