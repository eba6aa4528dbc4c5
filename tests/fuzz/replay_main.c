/* Gives each file of the folders in its arguments to the fuzz target that it is linked with, once.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n_bytes);

/* The input lies in memory of exactly its size, so that a sanitizer sees one octet too many. */
static int replay_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *input = NULL;
	long n_bytes = -1;

	if (file != NULL && fseek(file, 0, SEEK_END) == 0)
		n_bytes = ftell(file);
	if (n_bytes >= 0)
		input = malloc(n_bytes > 0 ? (size_t)n_bytes : 1);
	if (input == NULL || fseek(file, 0, SEEK_SET) != 0 ||
	    fread(input, 1, (size_t)n_bytes, file) != (size_t)n_bytes) {
		perror(path);
		exit(EXIT_FAILURE);
	}
	fclose(file);
	LLVMFuzzerTestOneInput(input, (size_t)n_bytes);
	free(input);
	return 1;
}

static int replay_folder(const char *folder)
{
	struct dirent *entry;
	DIR *dir = opendir(folder);
	char path[4096];
	int n_files = 0;

	if (dir == NULL) {
		perror(folder);
		exit(EXIT_FAILURE);
	}
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		n_files += replay_file(path);
	}
	closedir(dir);
	return n_files;
}

int main(int argc, char **argv)
{
	int n_files = 0;

	for (int i = 1; i < argc; i++)
		n_files += replay_folder(argv[i]);
	printf("%d files\n", n_files);
	return n_files > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
