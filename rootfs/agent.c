/* A stand-in for the program that runs a chapter's steps: it says that the guest is up. */
#include <stdio.h>
#include <sys/reboot.h>

int main(void)
{
	puts("agent: the guest is up");
	fflush(stdout);
	/* With -no-reboot this ends QEMU: a kernel without ACPI cannot power off. */
	return reboot(RB_AUTOBOOT);
}
