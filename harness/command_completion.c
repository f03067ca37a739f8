/* `batchmark completion`: what bash and zsh need to complete the program's words, made from the
 * tables of commands and options, so that it cannot say anything else than they do. */
#include "command.h"
#include "option_table.h"

#include <stdio.h>
#include <string.h>

/* What an option's value is, as far as a shell can help. */
#define KIND_FLAG 0u
#define KIND_ANY 1u
#define KIND_FILE 2u
#define KIND_FOLDER 3u
#define KIND_NAMES 4u
#define KIND_FORMAT 5u /* a name, "=" and a file */

static uint32_t kind_of(const struct bm_option_spec *option) {
    if (option->value == NULL) {
        return KIND_FLAG;
    }
    if (strncmp(option->value, "FILE", 4) == 0) {
        return KIND_FILE;
    }
    if (strcmp(option->value, "FOLDER") == 0) {
        return KIND_FOLDER;
    }
    if (option->choices == NULL) {
        return KIND_ANY;
    }
    return strchr(option->value, '=') != NULL ? KIND_FORMAT : KIND_NAMES;
}

/* Separated by spaces. */
static void print_choices(const struct bm_option_spec *option) {
    for (uint32_t i = 0; option->choices[i] != NULL; i++) {
        (void)printf("%s%s", i == 0 ? "" : " ", option->choices[i]);
    }
    if (option->extra_choice != NULL) {
        (void)printf(" %s", option->extra_choice);
    }
}

/* The names that may follow a command, and whether files may. */
struct followers {
    int length; /* of the names, which begin `words` */
    int has_files;
};

static struct followers followers_of(const struct bm_command *command) {
    const char *files = strstr(command->words, BM_WORDS_FILES);
    return (struct followers){.has_files = files != NULL,
                              .length = files != NULL ? (int)(files - command->words)
                                                      : (int)strlen(command->words)};
}

static void print_commands(void) {
    for (uint32_t i = 0; i < bm_command_count; i++) {
        (void)printf("%s ", bm_commands[i].name);
    }
}

/* ---- bash ---- */

static const char bash_begin[] =
    "# bash completion of batchmark, printed by `batchmark completion bash`\n"
    "_batchmark() {\n"
    "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}\n"
    "    local options='' words='' values='' kind='' first='' has_files=''\n"
    "    COMPREPLY=()\n"
    "    # bash makes three words of --name=value.\n"
    "    if [ \"$word\" = '=' ]; then\n"
    "        word=\n"
    "    elif [ \"$before\" = '=' ]; then\n"
    "        before=${COMP_WORDS[COMP_CWORD - 2]}\n"
    "        [[ $before == -* ]] || kind='file' # FORMAT=FILE\n"
    "    fi\n";

static const char bash_end[] =
    "    case $kind in\n"
    "    file)\n"
    "        compopt -o filenames 2>/dev/null || true\n"
    "        mapfile -t COMPREPLY < <(compgen -f -- \"$word\")\n"
    "        ;;\n"
    "    folder)\n"
    "        compopt -o filenames 2>/dev/null || true\n"
    "        mapfile -t COMPREPLY < <(compgen -d -- \"$word\")\n"
    "        ;;\n"
    "    format)\n"
    "        compopt -o nospace 2>/dev/null || true\n"
    "        mapfile -t COMPREPLY < <(compgen -S = -W \"$values\" -- \"$word\")\n"
    "        ;;\n"
    "    names)\n"
    "        [[ $word != *,* ]] || first=${word%,*},\n"
    "        mapfile -t COMPREPLY < <(compgen -P \"$first\" -W \"$values\" -- \"${word##*,}\")\n"
    "        ;;\n"
    "    any) ;;\n"
    "    *)\n"
    "        if [[ $word == -* ]]; then\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")\n"
    "        else\n"
    "            [ -z \"$has_files\" ] || compopt -o filenames 2>/dev/null || true\n"
    "            mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\"\n"
    "                [ -z \"$has_files\" ] || compgen -f -- \"$word\")\n"
    "        fi\n"
    "        ;;\n"
    "    esac\n"
    "}\n"
    "complete -F _batchmark batchmark\n";

static void print_bash_value(const struct bm_option_spec *option) {
    static const char *const kinds[] = {NULL, "any", "file", "folder", "names", "format"};
    uint32_t kind = kind_of(option);
    if (kind == KIND_FLAG) {
        return;
    }
    (void)printf("        --%s", option->name);
    if (option->letter != 0) {
        (void)printf(" | -%c", option->letter);
    }
    (void)printf(") kind='%s'", kinds[kind]);
    if (kind == KIND_NAMES || kind == KIND_FORMAT) {
        (void)printf(" values='");
        print_choices(option);
        (void)printf("'");
    }
    (void)printf(" ;;\n");
}

static void print_bash_command(const struct bm_command *command) {
    const struct followers followers = followers_of(command);
    (void)printf("    %s)\n        words='%.*s'\n        has_files='%s'\n        options='",
                 command->name, followers.length, command->words, followers.has_files ? "yes" : "");
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if ((bm_option_table[i].commands & command->options) != 0) {
            (void)printf("--%s ", bm_option_table[i].name);
        }
    }
    (void)printf("'\n");
    if (command->options != 0) {
        (void)printf("        case $before in\n");
        for (uint32_t i = 0; i < bm_option_count; i++) {
            if ((bm_option_table[i].commands & command->options) != 0) {
                print_bash_value(&bm_option_table[i]);
            }
        }
        (void)printf("        esac\n");
    }
    (void)printf("        ;;\n");
}

static void print_bash(void) {
    (void)fputs(bash_begin, stdout);
    (void)printf("    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                 "        mapfile -t COMPREPLY < <(compgen -W '");
    print_commands();
    (void)printf("--help --version' -- \"$word\")\n        return\n    fi\n"
                 "    case ${COMP_WORDS[1]} in\n");
    for (uint32_t i = 0; i < bm_command_count; i++) {
        print_bash_command(&bm_commands[i]);
    }
    (void)printf("    esac\n");
    (void)fputs(bash_end, stdout);
}

/* ---- zsh ---- */

/* Inside single quotes and brackets. */
static void print_zsh_text(const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            (void)fputs("'\\''", stdout);
        } else {
            (void)printf("%s%c", strchr("[]\\", *text) != NULL ? "\\" : "", *text);
        }
    }
}

static void print_zsh_value(const struct bm_option_spec *option) {
    uint32_t kind = kind_of(option);
    if (kind == KIND_FLAG) {
        return;
    }
    (void)printf(":%s:", option->value);
    if (kind == KIND_FILE) {
        (void)printf("_files");
    } else if (kind == KIND_FOLDER) {
        (void)printf("_files -/");
    } else if (kind == KIND_NAMES) {
        (void)printf("_values -s , %s ", option->value);
        print_choices(option);
    } else if (kind == KIND_FORMAT) {
        (void)printf("{ if compset -P \"*=\"; then _files; else compadd -q -S = - ");
        print_choices(option);
        (void)printf("; fi }");
    }
}

static void print_zsh_option(const struct bm_option_spec *option) {
    const char *equals = option->value == NULL ? "" : "=";
    if (option->letter != 0) {
        (void)printf(" \\\n                '*'{-%c,--%s%s}'[", option->letter, option->name,
                     equals);
    } else {
        (void)printf(" \\\n                '*--%s%s[", option->name, equals);
    }
    print_zsh_text(option->help);
    (void)printf("]");
    print_zsh_value(option);
    (void)printf("'");
}

static void print_zsh_command(const struct bm_command *command) {
    const struct followers followers = followers_of(command);
    (void)printf("            %s)\n                _arguments", command->name);
    for (uint32_t i = 0; i < bm_option_count; i++) {
        if ((bm_option_table[i].commands & command->options) != 0) {
            print_zsh_option(&bm_option_table[i]);
        }
    }
    if (followers.length > 0 || followers.has_files) {
        (void)printf(" \\\n                '*:word: _alternative \"words:word:(%.*s)\"%s'",
                     followers.length, command->words,
                     followers.has_files ? " \"files:file:_files\"" : "");
    }
    (void)printf("\n                ;;\n");
}

static void print_zsh(void) {
    (void)printf("#compdef batchmark\n"
                 "# zsh completion of batchmark, printed by `batchmark completion zsh`\n"
                 "_batchmark() {\n"
                 "    local context state state_descr line\n"
                 "    local -A opt_args\n"
                 "    local -a commands=(\n");
    for (uint32_t i = 0; i < bm_command_count; i++) {
        (void)printf("        '%s:", bm_commands[i].name);
        print_zsh_text(bm_commands[i].help);
        (void)printf("'\n");
    }
    (void)printf("    )\n"
                 "    _arguments -C '(- *)'{-h,--help}'[print how it is called]' "
                 "'(- *)--version[print the version]' \\\n"
                 "        '1:command:->command' '*::argument:->argument'\n"
                 "    case $state in\n"
                 "    command) _describe command commands ;;\n"
                 "    argument)\n"
                 "        case $words[1] in\n");
    for (uint32_t i = 0; i < bm_command_count; i++) {
        print_zsh_command(&bm_commands[i]);
    }
    (void)printf("        esac\n        ;;\n    esac\n}\n"
                 "if [ \"$funcstack[1]\" = _batchmark ]; then\n"
                 "    _batchmark \"$@\"\n"
                 "else\n"
                 "    compdef _batchmark batchmark\n"
                 "fi\n");
}

/* ---- The command ---- */

int bm_command_completion(int argc, char **argv) {
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}};

    const char *name = argc == 2 ? argv[1] : "";
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(name, shells[i].name) == 0) {
            shells[i].print();
            return BM_EXIT_OK;
        }
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        (void)printf("usage: batchmark completion bash|zsh\n\n"
                     "Prints the completion of that shell, which an installation has already. For "
                     "this session:\n"
                     "  source <(batchmark completion bash)\n");
        return BM_EXIT_OK;
    }
    (void)fprintf(stderr, "batchmark completion: expected bash or zsh, found \"%.64s\"\n", name);
    return BM_EXIT_USAGE;
}
