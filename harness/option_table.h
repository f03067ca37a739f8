/* The table of options behind options.h, for its own sources: the command line and the ini reader
 * look an option up here and set it through the same function. */
#ifndef BM_OPTION_TABLE_H
#define BM_OPTION_TABLE_H

#include "options.h"

struct bm_option_spec;

/* One value on its way into struct bm_options. `label` begins the error text: "--batch" or
 * "file.ini:3: batch". */
struct bm_assignment {
    const struct bm_option_spec *option;
    const char *label;
    const char *value;
    uint32_t appends; /* a list grows instead of being replaced: not its first value here */
    void *target;     /* the field */
};

struct bm_option_spec {
    const char *name;
    const char *value; /* placeholder in the help text; NULL: a flag */
    const char *help;
    uint32_t commands;         /* BM_COMMAND_* it belongs to */
    char letter;               /* short form or 0 */
    uint8_t command_line_only; /* no key of an ini file */
    uint8_t is_recorded;       /* says what is measured: records keep it, --resume takes it back */
    int32_t (*set)(const struct bm_assignment *assignment, struct bm_error *error);
    size_t offset; /* of the field in struct bm_options, and its size */
    size_t size;
    uint64_t low; /* range of a number */
    uint64_t high;
    const char *const *choices; /* names allowed, NULL-terminated; NULL: any */
    const char *extra_choice;   /* one more, or NULL */
};

#define BM_OPTION_COUNT_MAX 128u

extern const struct bm_option_spec bm_option_table[];
extern const uint32_t bm_option_count;

/* Which options the source that is being read has already given: their lists grow, those of weaker
 * sources are replaced. Zero it for each source. */
struct bm_option_source {
    uint8_t given[BM_OPTION_COUNT_MAX];
};

/* NULL if this command has no such option. */
const struct bm_option_spec *bm_option_find(uint32_t command, const char *name);

/* The options that a command line without other words gives, by whatever form of their names. */
void bm_option_given(uint32_t command, int argc, char **argv, struct bm_option_source *source);

/* The name nearest to a mistyped one, or NULL if none is near. */
const char *bm_option_nearest(uint32_t command, const char *name, int32_t ini_only);

/* Sets one option; `value` of a flag is "yes" or "no". */
int32_t bm_option_set(const struct bm_option_spec *option,
                      const char *label,
                      const char *value,
                      struct bm_option_source *source,
                      struct bm_options *options,
                      struct bm_error *error);

/* The text that bm_option_set reads as the value that `options` has; free() it. NULL: a value that
 * was not given, or no memory. Only of options that are recorded. */
char *bm_option_text(const struct bm_option_spec *option, const struct bm_options *options);

/* Adds or replaces option.KEY or env.KEY of a backend. */
int32_t bm_option_set_backend(struct bm_options *options,
                              const char *label,
                              const struct bm_backend_setting *setting,
                              struct bm_error *error);

/* Decimal digits only; 0 if it is something else or outside low .. high. */
int32_t bm_parse_number(const char *text, uint64_t low, uint64_t high, uint64_t *number);

/* The setters, by kind of value. */
int32_t bm_set_text(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_folder(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_choice(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_names(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_backends(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_paths(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_exports(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_numbers(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_number(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_rate(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_fraction(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_share(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_delays(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_sizes(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_targets(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_duration(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_flag(const struct bm_assignment *assignment, struct bm_error *error);
int32_t bm_set_backend_option(const struct bm_assignment *assignment, struct bm_error *error);

#endif
