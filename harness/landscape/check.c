/* Whether the backend computes what it should, before anything is said about its landscape. */
#include "fastest.h"
#include "landscape.h"
#include "schedule.h"

#include <stdio.h>

/* Images of the gradient and update that are compared. */
#define CHECKED_BATCH UINT64_C(100)

static void write_verdict(struct bm_landscape *landscape, const struct bm_verdict *verdict) {
    const struct bm_campaign *campaign = landscape->campaign;
    json_t *object = bm_landscape_object("points", "check");
    json_t *fields = json_pack("{s:s, s:s, s:s, s:b}", "backend", landscape->row->file->name,
                               "model", campaign->model.name, "dataset", campaign->dataset.name,
                               "refused", verdict->kind == BM_VERDICT_REFUSED);
    (void)json_object_update(object, fields);
    json_decref(fields);
    bm_landscape_fail(object, bm_verdict_status(verdict->kind), verdict->reason);
    bm_landscape_write(landscape, object);
}

int32_t
bm_landscape_check(struct bm_landscape *landscape, uint32_t *is_right, struct bm_error *error) {
    struct bm_campaign *campaign = landscape->campaign;
    struct bm_verdict verdict = {.kind = BM_VERDICT_OK};
    uint64_t images = campaign->dataset.split[BM_SPLIT_TRAIN].count;
    uint64_t batch = images < CHECKED_BATCH ? images : CHECKED_BATCH;
    *is_right = 0;
    bm_landscape_show(landscape, "%s: check against the float64 reference",
                      landscape->row->file->name);
    int32_t status = bm_case_reference_make(&campaign->reference, &campaign->of, &batch, 1, error);
    status = status ? status : bm_case_reference_expect(&campaign->reference, error);
    if (status != BM_STATUS_OK) {
        return status;
    }
    campaign->of.reference_fd = campaign->reference.fd;
    if (bm_fastest_open(campaign, landscape->row, batch, &verdict)) {
        (void)bm_fastest_ask_ns(campaign, landscape->row, "check", &verdict);
    }
    bm_schedule_stop(landscape->row);
    campaign->of.reference_fd = -1;
    if (verdict.kind != BM_VERDICT_OK && verdict.kind != BM_VERDICT_INTERRUPTED) {
        write_verdict(landscape, &verdict);
    }
    *is_right = verdict.kind == BM_VERDICT_OK;
    return BM_STATUS_OK;
}
