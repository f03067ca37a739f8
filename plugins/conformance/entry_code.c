/*
 * Which instructions a plugin runs before it has looked at the processor, one by one.
 *
 * The plugin's code is made non-executable. A jump into it is a fault, whose handler makes it
 * executable and sets the processor's trap flag; from then on there is a trap before every
 * instruction, until one lies outside: that one ends the stepping and makes the code non-executable
 * again. So what the plugin calls outside of itself, a driver's start say, runs at full speed. What
 * runs while the file is being loaded is seen too: a breakpoint at the place that the dynamic
 * loader keeps for debuggers is met when a new file is in memory and none of its code has run.
 */
#include "cases.h"
#include "object.h"
#include "opened_file.h"

#include "page.h"

#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if !defined(__x86_64__)
#define CANNOT_STEP "this processor is no x86-64"
#elif defined(BM_SANITIZED)
#define CANNOT_STEP "this program is built with a sanitizer"
#elif defined(__AVX__)
#define CANNOT_STEP "this program itself is compiled for a processor with AVX"
#endif

#ifdef CANNOT_STEP

void bm_conform_file_baseline(struct bm_conform *conform) {
    bm_conform_leave(conform, CANNOT_STEP);
}

#else

#define CODE_MAX 4u
#define DEVICES_MAX 16u
#define TRAP_FLAG 0x100
#define BREAKPOINT 0xcc

struct code {
    unsigned char *start;
    size_t length;
    int protection; /* without PROT_EXEC */
};

/* Signal handlers take no argument of ours. */
static struct {
    const char *path;
    const struct bm_conform_object *object;
    struct sigaction trap_before;
    struct sigaction fault_before;
    unsigned char *breakpoint; /* NULL: none */
    unsigned char replaced;
    const unsigned char *base; /* where the file was loaded; NULL: not yet */
    struct code code[CODE_MAX];
    uint32_t code_count;
    atomic_flag lock;       /* of the four below */
    int armed;              /* the code is non-executable while nobody is inside */
    uint32_t inside;        /* threads */
    uint64_t steps;         /* instructions seen */
    const char *what;       /* the first one that is wrong; NULL: none */
    const char *call;       /* that is being made */
    const char *wrong_call; /* in which it was */
    const unsigned char *wrong;
} tracer;

static _Thread_local int is_stepping;

/* Registers hold pointers as integers. */
static unsigned char *pointer(uint64_t address) {
    unsigned char *result = NULL;
    memcpy(&result, &address, sizeof result);
    return result;
}

/* ---- Instructions ---- */

/* SSE3 is spread over holes between the instructions of SSE and SSE2. */
static int is_sse3(unsigned char prefix, unsigned char opcode) {
    switch (opcode) {
    case 0x7c:
    case 0x7d:
    case 0xd0:
        return prefix == 0x66 || prefix == 0xf2;
    case 0x12:
        return prefix == 0xf2 || prefix == 0xf3;
    case 0x16:
        return prefix == 0xf3;
    case 0xf0:
        return prefix == 0xf2;
    default:
        return 0;
    }
}

/* The old encoding: after 0f, what came after the first x86-64. */
static const char *name_old(unsigned char prefix, const unsigned char *opcode) {
#if !defined(__SSE4_2__)
    if (opcode[0] == 0x38 || opcode[0] == 0x3a) {
        return "SSSE3, SSE4 or later";
    }
    if (prefix == 0xf3 && (opcode[0] == 0xb8 || opcode[0] == 0xbd)) {
        return "POPCNT or LZCNT";
    }
    if (is_sse3(prefix, opcode[0])) {
        return "SSE3";
    }
#else
    (void)is_sse3;
    (void)prefix;
    (void)opcode;
#endif
    return NULL;
}

/* What the instruction needs beyond the processor that this program needs, or NULL. In 64-bit mode
 * the first bytes of the new encodings mean nothing else. */
static const char *name_extension(const unsigned char *c) {
    static const unsigned char prefixes[] = {0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65,
                                             0x66, 0x67, 0xf0, 0xf2, 0xf3};
    unsigned char last = 0;
    while (memchr(prefixes, *c, sizeof prefixes) != NULL) {
        last = *c == 0x66 || *c >= 0xf2 ? *c : last;
        c++;
    }
    switch (*c) {
    case 0xc4:
    case 0xc5:
        return "AVX, AVX2, FMA or BMI";
    case 0x62:
        return "AVX-512 or APX";
    case 0xd5:
        return "APX";
    case 0x8f:
        return (c[1] & 0x1f) >= 8 ? "XOP" : NULL;
    default:
        c += (*c & 0xf0) == 0x40; /* REX */
        return *c == 0x0f ? name_old(last, c + 1) : NULL;
    }
}

static void look(const unsigned char *instruction) {
    const char *what = name_extension(instruction);
    tracer.steps++;
    if (what != NULL && tracer.what == NULL) {
        tracer.what = what;
        tracer.wrong = instruction;
        tracer.wrong_call = tracer.call;
    }
}

/* ---- Stepping: in signal handlers ---- */

static int is_code(const unsigned char *address) {
    for (uint32_t i = 0; i < tracer.code_count; i++) {
        if (address >= tracer.code[i].start &&
            address < tracer.code[i].start + tracer.code[i].length) {
            return 1;
        }
    }
    return 0;
}

static int protect(int executable) {
    int status = 0;
    for (uint32_t i = 0; i < tracer.code_count; i++) {
        const struct code *code = &tracer.code[i];
        status |=
            mprotect(code->start, code->length, code->protection | (executable ? PROT_EXEC : 0));
    }
    return status;
}

static void lock(void) {
    while (atomic_flag_test_and_set_explicit(&tracer.lock, memory_order_acquire)) {
    }
}

static void unlock(void) {
    atomic_flag_clear_explicit(&tracer.lock, memory_order_release);
}

/* `steps` says which way the thread goes on: instruction by instruction, or freely. */
static void go_on(int steps, const unsigned char *instruction) {
    lock();
    if (steps) {
        look(instruction);
    }
    if (steps != is_stepping) {
        int was_free = tracer.inside == 0;
        tracer.inside += steps ? 1u : -1u;
        if (tracer.armed && (was_free || tracer.inside == 0)) {
            (void)protect(steps);
        }
    }
    unlock();
    is_stepping = steps;
}

/* The plugin's code, once its file is at this place. */
static void arm(const struct link_map *map) {
    const struct bm_conform_object *object = tracer.object;
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *base = (unsigned char *)map->l_ld - object->dynamic_address;
    for (uint32_t i = 0; i < object->segment_count && tracer.code_count < CODE_MAX; i++) {
        const ElfW(Phdr) *segment = &object->segments[i];
        size_t before = segment->p_vaddr % page;
        if (segment->p_type == PT_LOAD && (segment->p_flags & PF_X) != 0) {
            tracer.code[tracer.code_count++] = (struct code){
                .start = base + segment->p_vaddr - before,
                .length = (before + segment->p_memsz + page - 1) / page * page,
                .protection = (int)((segment->p_flags & PF_R) != 0 ? PROT_READ : 0) |
                              (int)((segment->p_flags & PF_W) != 0 ? PROT_WRITE : 0),
            };
        }
    }
    tracer.base = base;
    tracer.armed = protect(0) == 0;
}

/* The loader has mapped something: perhaps the plugin. */
static void arm_if_mapped(void) {
    for (const struct link_map *map = _r_debug.r_map; map != NULL; map = map->l_next) {
        if (tracer.base == NULL && _r_debug.r_state == RT_CONSISTENT &&
            strcmp(map->l_name, tracer.path) == 0) {
            arm(map);
        }
    }
}

/* Not ours: it happens again, or is sent again, to whoever looked after it before. */
static void pass_on(int number) {
    (void)sigaction(number, number == SIGTRAP ? &tracer.trap_before : &tracer.fault_before, NULL);
    if (number == SIGTRAP) {
        (void)raise(number);
    }
}

static void on_trap(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *next = pointer((uint64_t)registers[REG_RIP]);
    if (info->si_code == TRAP_TRACE && is_stepping) {
        int stays = is_code(next);
        go_on(stays, next);
        registers[REG_EFL] =
            stays ? registers[REG_EFL] | TRAP_FLAG : registers[REG_EFL] & ~(greg_t)TRAP_FLAG;
    } else if (tracer.breakpoint != NULL && next == tracer.breakpoint + 1) {
        arm_if_mapped();
        /* The function at which debuggers stop is empty: return from it. */
        memcpy(&registers[REG_RIP], pointer((uint64_t)registers[REG_RSP]), sizeof(greg_t));
        registers[REG_RSP] += (greg_t)sizeof(greg_t);
    } else {
        pass_on(number);
    }
}

static void on_fault(int number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *next = pointer((uint64_t)registers[REG_RIP]);
    if (tracer.armed && info->si_addr == next && is_code(next)) {
        go_on(1, next);
        registers[REG_EFL] |= TRAP_FLAG;
    } else {
        pass_on(number);
    }
}

/* ---- One run ---- */

static int write_code(unsigned char *where, unsigned char byte) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *around = where - (uintptr_t)where % page;
    if (mprotect(around, page, PROT_READ | PROT_WRITE | PROT_EXEC) != 0) {
        return -1;
    }
    *(volatile unsigned char *)where = byte;
    return mprotect(around, page, PROT_READ | PROT_EXEC);
}

/* A system may forbid it; then what runs while the file is loaded is not seen. */
static void set_breakpoint(void) {
    unsigned char *where = pointer(_r_debug.r_brk);
    if (where != NULL) {
        tracer.replaced = *where;
        tracer.breakpoint = where;
        if (write_code(where, BREAKPOINT) != 0) {
            tracer.breakpoint = NULL;
        }
    }
}

static void start(const struct bm_conform *conform, const struct bm_conform_object *object) {
    struct sigaction action = {0};
    memset(&tracer, 0, sizeof tracer);
    tracer.path = conform->request->path;
    tracer.object = object;
    action.sa_flags = (int)(SA_SIGINFO | SA_ONSTACK);
    action.sa_sigaction = on_trap;
    (void)sigaction(SIGTRAP, &action, &tracer.trap_before);
    action.sa_sigaction = on_fault;
    (void)sigaction(SIGSEGV, &action, &tracer.fault_before);
}

static void stop(void) {
    lock();
    tracer.armed = 0;
    (void)protect(1);
    unlock();
    (void)sigaction(SIGTRAP, &tracer.trap_before, NULL);
    (void)sigaction(SIGSEGV, &tracer.fault_before, NULL);
}

/* Loads the file and arms the tracer; returns whether loading was seen, or was no concern of it. */
static int load(void) {
    struct link_map *map = NULL;
    void *handle = dlopen(tracer.path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    if (handle == NULL) {
        set_breakpoint();
        handle = dlopen(tracer.path, RTLD_NOW | RTLD_LOCAL);
        if (tracer.breakpoint != NULL) {
            (void)write_code(tracer.breakpoint, tracer.replaced);
            tracer.breakpoint = NULL;
        }
    }
    int was_seen = tracer.base != NULL;
    if (handle != NULL && !was_seen && dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) {
        arm(map);
    }
    return was_seen;
}

static void enter(struct bm_conform *conform, const char *call, uint32_t phase) {
    tracer.call = call;
    conform->request->page->phase = phase;
}

/* The calls that are answered by code of the baseline. What they say is checked elsewhere. */
static void make_calls(struct bm_conform *conform, __typeof__(bm_plugin_entry) *entry) {
    struct bm_error error;
    uint32_t count = 0;
    enter(conform, "bm_plugin_entry", BM_PHASE_LOAD);
    const struct bm_plugin *table = entry(BM_ABI_MAJOR, BM_ABI_MINOR, &error);
    if (table == NULL) {
        return;
    }
    enter(conform, "device_count", BM_PHASE_DEVICE_COUNT);
    if (table->device_count(&count, &error) != BM_STATUS_OK) {
        return;
    }
    enter(conform, "device_info", BM_PHASE_DEVICE_INFO);
    for (uint32_t i = 0; i < count && i < DEVICES_MAX; i++) {
        struct bm_device_info info = {.size = sizeof info};
        (void)table->device_info(i, &info, &error);
    }
}

/* A debugger would stop at every instruction. */
static int is_debugged(void) {
    char line[128];
    int is_traced = 0;
    FILE *status = fopen("/proc/self/status", "re");
    while (status != NULL && is_traced == 0 && fgets(line, sizeof line, status) != NULL) {
        is_traced = strncmp(line, "TracerPid:", 10) == 0 && strchr("123456789", line[11]) != NULL;
    }
    if (status != NULL) {
        (void)fclose(status);
    }
    return is_traced;
}

static void judge(struct bm_conform *conform, const struct bm_conform_object *object) {
    char place[256];
    char bytes[3 * 8 + 1] = "";
    if (tracer.what == NULL) {
        return;
    }
    uint64_t address = (uint64_t)(tracer.wrong - tracer.base);
    const char *slash = strrchr(tracer.path, '/');
    bm_conform_object_place(object, address, place, sizeof place);
    for (uint32_t i = 0; i < 8 && is_code(tracer.wrong + i); i++) {
        (void)snprintf(bytes + (size_t)3 * i, 4, " %02x", tracer.wrong[i]);
    }
    bm_conform_fail(conform,
                    "%s: expected instructions of the baseline x86-64 only, found one of %s at "
                    "%s%s%s+0x%llx, bytes%s (compile what answers before the processor is known "
                    "without -m flags)",
                    tracer.wrong_call, tracer.what, place, place[0] != '\0' ? ", " : "",
                    slash != NULL ? slash + 1 : tracer.path, (unsigned long long)address, bytes);
}

void bm_conform_file_baseline(struct bm_conform *conform) {
    struct bm_conform_object object;
    struct bm_error error = {0};
    bm_conform_object_open(conform, &object);
    if (bm_conform_object_sanitizer(&object) != NULL) {
        bm_conform_leave(conform, "the plugin is built with a sanitizer");
    }
    if (is_debugged()) {
        bm_conform_leave(conform, "a debugger is attached");
    }
    start(conform, &object);
    enter(conform, "loading", BM_PHASE_LOAD);
    int saw_load = load();
    void *handle = bm_conform_handle(conform);
    if (handle == NULL) {
        stop();
        bm_conform_fail(conform, "cannot load: %s", dlerror());
    }
    if (bm_opened_file_check_loaded(conform->request->file, tracer.path, handle, &error) !=
        BM_STATUS_OK) {
        stop();
        bm_conform_fail(conform, "%s", error.text);
    }
    make_calls(conform, bm_conform_entry(conform));
    uint32_t lost = tracer.inside;
    int armed = tracer.armed;
    stop();
    enter(conform, "", BM_PHASE_HOST);
    if (!armed || lost > 0 || tracer.steps == 0) {
        bm_conform_leave(conform,
                         "this system lets no program look at its instructions one by one");
    }
    judge(conform, &object);
    bm_conform_note(conform, "%llu instructions seen%s", (unsigned long long)tracer.steps,
                    saw_load ? "" : "; not those that ran while the file was loaded");
    bm_conform_object_close(&object);
}

#endif
