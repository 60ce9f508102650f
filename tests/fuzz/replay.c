/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds every file that is named, and every file in every directory that is
 * named, to a fuzz target: `make check` replays the corpora with it, so that a
 * finding stays found without libFuzzer. It must fail when there is nothing
 * to feed.
 */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t fed;

static void
die(const char *path, const char *what)
{
	(void)fprintf(stderr, "replay: %s: %s\n", path, what);
	exit(1);
}

/* The copy is as long as the input, so that a sanitizer sees the octet after
 * it being read. */
static void
feed_file(const char *path, size_t size)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(size > 0 ? size : 1);

	if (f == NULL)
		die(path, "cannot be opened");
	if (data == NULL)
		die(path, "no memory");
	if (fread(data, 1, size, f) != size)
		die(path, "cannot be read");
	(void)fclose(f);
	(void)LLVMFuzzerTestOneInput(data, size);
	free(data);
	fed++;
}

static void
feed(const char *path)
{
	struct stat st;
	struct dirent **names;
	int count;

	if (stat(path, &st) != 0)
		die(path, "is not there");
	if (!S_ISDIR(st.st_mode)) {
		feed_file(path, (size_t)st.st_size);
		return;
	}
	count = scandir(path, &names, NULL, alphasort);
	if (count < 0)
		die(path, "cannot be read");
	for (int i = 0; i < count; i++) {
		char entry[4096];
		int len = snprintf(entry, sizeof(entry), "%s/%s", path,
		    names[i]->d_name);

		if (len < 0 || (size_t)len >= sizeof(entry))
			die(path, "is too long a name");
		if (names[i]->d_name[0] != '.')
			feed(entry);
		free(names[i]);
	}
	free(names);
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		feed(argv[i]);
	if (fed == 0)
		die(argc > 1 ? argv[1] : "no argument", "no input");
	(void)printf("replay: %zu inputs\n", fed);
	return 0;
}
