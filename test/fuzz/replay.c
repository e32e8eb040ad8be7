/* Runs a fuzz target over every file of the folders given: the corpus and all crashes ever
 * found. */
#include <dirent.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned replay(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *f = fopen(path, "rb");
	if (!f)
		return 0;
	static uint8_t data[1 << 20];
	size_t size = fread(data, 1, sizeof data, f);
	fclose(f);
	/* An exact heap copy, so that a sanitizer sees the first byte read past the end. */
	uint8_t *copy = malloc(size ? size : 1);
	if (copy && size)
		memcpy(copy, data, size);
	if (copy)
		LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned files = 0;
	for (int i = 1; i < argc; i++) {
		DIR *d = opendir(argv[i]);
		for (struct dirent *e; d && (e = readdir(d));)
			if (e->d_name[0] != '.')
				files += replay(argv[i], e->d_name);
		if (d)
			closedir(d);
	}
	printf("1..1\n%s 1 - %u files replayed\n", files ? "ok" : "not ok", files);
	return files ? 0 : 1;
}
