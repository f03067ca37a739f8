/* The networks that were trained for the analyses. */
#include "field.h"
#include "landscape_table_parts.h"
#include "table.h"

/* "61.5 s" */
static void put_seconds(const json_t *object, const char *path, char *text, uint32_t capacity) {
    double seconds = 0;
    if (bm_landscape_measure(object, path, &seconds) && seconds > 0) {
        bm_table_time(1e9 * seconds, text, capacity);
    } else {
        (void)snprintf(text, capacity, "-");
    }
}

void bm_landscape_print_points(const struct bm_landscape_view *view) {
    static const struct bm_landscape_column columns[] = {
        {"point", bm_landscape_put_text, "point"},
        {"optimizer", bm_landscape_put_text, "optimizer"},
        {"epochs", bm_landscape_put_whole, "epochs"},
        {"updates", bm_landscape_put_whole, "updates"},
        {"time", put_seconds, "seconds"},
        {"train loss", bm_landscape_put_loss, "train.loss"},
        {"train, %", bm_landscape_put_percent, "train.accuracy"},
        {"test loss", bm_landscape_put_loss, "test.loss"},
        {"test, %", bm_landscape_put_percent, "test.accuracy"}};
    bm_landscape_print_part(view, "loss and accuracy after the training", "training", columns,
                            (uint32_t)(sizeof columns / sizeof columns[0]));
}
