#include "compare_plan.h"

#include "code_hash.h"
#include "error.h"

#include <string.h>
#include <sys/stat.h>

static int is_folder(const char *path) {
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}

/* A plugin that did not answer has one row, which stands for all of its devices. */
static int match(const struct bm_row *base, const struct bm_row *head, int by_name) {
    return (!by_name || strcmp(base->file->name, head->file->name) == 0) &&
           (base->device == NULL || head->device == NULL ||
            base->device_index == head->device_index);
}

static struct bm_row *
find_match(struct bm_selection *among, const struct bm_row *row, int by_name) {
    for (uint32_t i = 0; i < among->row_count; i++) {
        if (match(row, &among->row[i], by_name)) {
            return &among->row[i];
        }
    }
    return NULL;
}

/* What cannot be hashed is not known to be the same: it is measured. */
static void hash_code(struct bm_compare_pair *pair) {
    struct bm_error error;
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        const struct bm_plugin_file *file = pair->row[side]->file;
        if (bm_code_hash_file(file->opened.fd, file->path, pair->code[side], &error) !=
            BM_STATUS_OK) {
            pair->code[side][0] = '\0';
        }
    }
    pair->is_identical = pair->code[BM_SIDE_BASE][0] != '\0' &&
                         strcmp(pair->code[BM_SIDE_BASE], pair->code[BM_SIDE_HEAD]) == 0;
}

static void add_pair(struct bm_compare_plan *plan, struct bm_row *base, struct bm_row *head) {
    if ((base != NULL && base->computes_nothing) || (head != NULL && head->computes_nothing)) {
        return;
    }
    BM_ASSERT(plan->pair_count < 2 * BM_ROW_MAX);
    struct bm_compare_pair *pair = &plan->pair[plan->pair_count++];
    pair->row[BM_SIDE_BASE] = base;
    pair->row[BM_SIDE_HEAD] = head;
    if (base != NULL && head != NULL) {
        hash_code(pair);
    }
}

int32_t bm_compare_plan_make(const struct bm_options *options,
                             const char *const paths[BM_SIDE_COUNT],
                             struct bm_compare_plan *plan,
                             struct bm_error *error) {
    int by_name = is_folder(paths[BM_SIDE_BASE]);
    int32_t status = BM_STATUS_OK;
    memset(plan, 0, sizeof *plan);
    if (by_name != is_folder(paths[BM_SIDE_HEAD])) {
        return bm_fail(error, BM_STATUS_INVALID,
                       "expected two plugins or two folders of plugins, found one folder, "
                       "%s",
                       paths[by_name ? BM_SIDE_BASE : BM_SIDE_HEAD]);
    }
    for (uint32_t side = 0; side < BM_SIDE_COUNT && status == BM_STATUS_OK; side++) {
        status = bm_selection_of(options, paths[side], &plan->side[side], error);
    }
    if (status != BM_STATUS_OK) {
        return status;
    }
    struct bm_selection *base = &plan->side[BM_SIDE_BASE];
    struct bm_selection *head = &plan->side[BM_SIDE_HEAD];
    for (uint32_t i = 0; i < base->row_count; i++) {
        add_pair(plan, &base->row[i], find_match(head, &base->row[i], by_name));
    }
    for (uint32_t i = 0; i < head->row_count; i++) {
        if (find_match(base, &head->row[i], by_name) == NULL) {
            add_pair(plan, NULL, &head->row[i]);
        }
    }
    return BM_STATUS_OK;
}

void bm_compare_plan_free(struct bm_compare_plan *plan) {
    for (uint32_t side = 0; side < BM_SIDE_COUNT; side++) {
        bm_selection_free(&plan->side[side]);
    }
}
