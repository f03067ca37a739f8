#include "trust.h"

#include "error.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OWNER_MAX 64u

/* Who may change the running program anyway: owners and groups of its file and of the folders
 * above. */
struct program {
    char path[PATH_MAX]; /* empty: not known */
    uint32_t user_count;
    uint32_t group_count;
    uid_t users[OWNER_MAX];
    gid_t groups[OWNER_MAX];
};

/* One walk from / to a file. */
struct walk {
    const char *path;
    struct program program;
    char *doubt;
};

/* ---- Who is trusted ---- */

static int has_user(const struct program *program, uid_t user) {
    for (uint32_t i = 0; i < program->user_count; i++) {
        if (program->users[i] == user) {
            return 1;
        }
    }
    return user == 0 || user == geteuid();
}

static int has_group(const struct program *program, gid_t group) {
    for (uint32_t i = 0; i < program->group_count; i++) {
        if (program->groups[i] == group) {
            return 1;
        }
    }
    return 0;
}

/* In a folder with the sticky bit, whoever may write can still only touch his own files. */
static int is_sticky(const struct stat *facts) {
    return S_ISDIR(facts->st_mode) && (facts->st_mode & S_ISVTX) != 0;
}

static void add_owners(struct program *program, const struct stat *facts) {
    if (!has_user(program, facts->st_uid) && program->user_count < OWNER_MAX) {
        program->users[program->user_count++] = facts->st_uid;
    }
    if ((facts->st_mode & S_IWGRP) != 0 && !is_sticky(facts) &&
        !has_group(program, facts->st_gid) && program->group_count < OWNER_MAX) {
        program->groups[program->group_count++] = facts->st_gid;
    }
}

static void find_program(struct program *program) {
    char path[PATH_MAX];
    struct stat facts;
    ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    memset(program, 0, sizeof *program);
    if (length <= 0 || (size_t)length >= sizeof path - 1) {
        return;
    }
    path[length] = '\0';
    memcpy(program->path, path, (size_t)length + 1);
    for (char *slash = path + length; slash != NULL; slash = strrchr(path, '/')) {
        *slash = '\0';
        if (lstat(path[0] == '\0' ? "/" : path, &facts) == 0) {
            add_owners(program, &facts);
        }
    }
}

/* Whether the first `length` bytes of the walk's path are a folder above the program. */
static int is_above_program(const struct walk *walk, size_t length) {
    const char *program = walk->program.path;
    return strncmp(program, walk->path, length) == 0 && program[length] == '/';
}

/* More may be allowed to write than the mode tells: its group bits are then the list's mask. */
static int has_access_list(int fd) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    return getxattr(path, "system.posix_acl_access", NULL, 0) >= 0 ||
           (errno != ENODATA && errno != ENOTSUP);
}

static int is_private_group(uid_t owner, gid_t id) {
    const struct passwd *user = getpwuid(owner);
    const struct group *group = user == NULL || user->pw_gid != id ? NULL : getgrgid(id);
    if (group == NULL || strcmp(group->gr_name, user->pw_name) != 0) {
        return 0;
    }
    for (char **member = group->gr_mem; *member != NULL; member++) {
        if (strcmp(*member, user->pw_name) != 0) {
            return 0;
        }
    }
    return 1;
}

static int only_trusted_write(const struct walk *walk, int fd, const struct stat *facts) {
    if (!has_user(&walk->program, facts->st_uid)) {
        return 0;
    }
    if (is_sticky(facts) || (facts->st_mode & (S_IWGRP | S_IWOTH)) == 0) {
        return 1;
    }
    return (facts->st_mode & S_IWOTH) == 0 && !has_access_list(fd) &&
           (has_group(&walk->program, facts->st_gid) ||
            is_private_group(facts->st_uid, facts->st_gid));
}

/* ---- The walk ---- */

/* `length` bytes of the path lead to what is open here. The first doubt is told. */
static void judge(struct walk *walk, size_t length, int fd, const struct stat *facts) {
    const char *name = strrchr(walk->path, '/') + 1;
    int is_file = walk->path[length] == '\0';
    char user[32] = "";
    if (walk->doubt[0] != '\0' || (!is_file && is_above_program(walk, length)) ||
        only_trusted_write(walk, fd, facts)) {
        return;
    }
    if (geteuid() != 0) {
        (void)snprintf(user, sizeof user, " and user %u", (unsigned)geteuid());
    }
    (void)snprintf(walk->doubt, BM_TRUST_DOUBT_SIZE,
                   "%.80s: expected that only root%s may change it, found %.*s with mode "
                   "%04o, owner %u, group %u%s; --trust loads it all the same",
                   name, user, length < 250 ? (int)length : 250, walk->path,
                   (unsigned)(facts->st_mode & 07777), (unsigned)facts->st_uid,
                   (unsigned)facts->st_gid, has_access_list(fd) ? " and an access list" : "");
}

static int32_t not_there(const struct walk *walk, struct bm_error *error) {
    return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: no such plugin", walk->path);
}

/* Goes on from the folder `at`, which it closes, to the next one, `length` bytes into the path. */
static int32_t
enter(struct walk *walk, size_t begin, size_t length, int *at, struct bm_error *error) {
    char name[NAME_MAX + 1];
    struct stat facts;
    if (length - begin > NAME_MAX) {
        errno = ENAMETOOLONG;
        return not_there(walk, error);
    }
    memcpy(name, walk->path + begin, length - begin);
    name[length - begin] = '\0';
    int next = openat(*at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (next < 0 || fstat(next, &facts) != 0) {
        int32_t status = not_there(walk, error);
        (void)(next < 0 || close(next));
        return status;
    }
    (void)close(*at);
    *at = next;
    judge(walk, length, next, &facts);
    return BM_STATUS_OK;
}

static const char *kind_name(mode_t mode) {
    return S_ISDIR(mode)    ? "a folder"
           : S_ISFIFO(mode) ? "a pipe"
           : S_ISLNK(mode)  ? "a symbolic link"
                            : "a file of another kind";
}

/* Looked at before it is opened: opening a device may do something; and again through the
 * descriptor, since it may have become another file meanwhile. */
static int32_t
open_file(struct walk *walk, const char *name, int at, int *fd, struct bm_error *error) {
    struct stat facts;
    if (fstatat(at, name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
        return not_there(walk, error);
    }
    if (S_ISREG(facts.st_mode)) {
        *fd = openat(at, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (*fd < 0 || fstat(*fd, &facts) != 0) {
            return bm_fail_errno(error, BM_STATUS_INVALID, "%.400s: cannot read it", walk->path);
        }
    }
    if (!S_ISREG(facts.st_mode)) {
        return bm_fail(error, BM_STATUS_INVALID, "%.400s: expected a plain file, found %s",
                       walk->path, kind_name(facts.st_mode));
    }
    judge(walk, strlen(walk->path), *fd, &facts);
    return BM_STATUS_OK;
}

static int32_t walk_down(struct walk *walk, int *at, int *fd, struct bm_error *error) {
    size_t begin = 1;
    int32_t status = BM_STATUS_OK;
    while (status == BM_STATUS_OK) {
        size_t length = begin + strcspn(walk->path + begin, "/");
        if (walk->path[length] == '\0') {
            return open_file(walk, walk->path + begin, *at, fd, error);
        }
        status = enter(walk, begin, length, at, error);
        begin = length + 1;
    }
    return status;
}

int32_t
bm_trust_open(const char *path, int *fd, char doubt[BM_TRUST_DOUBT_SIZE], struct bm_error *error) {
    struct walk walk = {.path = path, .doubt = doubt};
    BM_ASSERT(path[0] == '/');
    *fd = -1;
    doubt[0] = '\0';
    find_program(&walk.program);
    int at = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (at < 0) {
        return bm_fail_errno(error, BM_STATUS_INVALID, "/: cannot open it");
    }
    int32_t status = walk_down(&walk, &at, fd, error);
    (void)close(at);
    if (status != BM_STATUS_OK && *fd >= 0) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}
