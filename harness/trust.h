/*
 * Whether a plugin's file is the user's own: a regular file that nobody else may change, by its
 * mode and by those of the folders above it. Loading a plugin runs its code, so whoever may write
 * there acts as the user.
 */
#ifndef BM_TRUST_H
#define BM_TRUST_H

#include <batchmark/plugin.h>

#define BM_TRUST_DOUBT_SIZE 512

/*
 * Opens `path` (absolute, as realpath gives it) to be read, in *fd, the caller's. Each folder on
 * the way is opened in the one above it and judged as it was opened, and no symbolic link is
 * followed: what was judged is what is open, whatever is renamed meanwhile.
 *
 * `doubt` gets one line, which ends with the option that loads the file all the same; it stays
 * empty if the file and every folder from / to it belong to root, to the user, or to who may change
 * the running program, and no other may write them. Some that others may write are as good:
 *  - a folder with the sticky bit (/tmp): others make files there, and cannot touch those of ours;
 *  - the user's private group, as umask 002 gives it to everything: the group that bears the name
 *    of the owner, is his first one and lists no other member (the test by which pam_umask chooses
 *    that umask), on a file without an access list;
 *  - a group that may write the program's file or a folder above it: it can change the program, and
 *    needs no plugin;
 *  - the folders above the program itself, for the same reason.
 *
 * INVALID if there is no such file, if it is another kind of file, or if a folder has become a link
 * since; *fd is then -1.
 */
int32_t
bm_trust_open(const char *path, int *fd, char doubt[BM_TRUST_DOUBT_SIZE], struct bm_error *error);

#endif
