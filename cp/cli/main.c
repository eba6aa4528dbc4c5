#include <locale.h>

#include "cp/cli/cli.h"

int main(int argc, char **argv)
{
	setlocale(LC_CTYPE, ""); /* how wide a character is */
	return cli_run(argc, argv, stdout, stderr);
}
