/* The strict guest's table of contents; entry.c calls it with what RDI held, and all registers. */

#include "guest.h"

/* What stands behind a word of the command line; NULL if the word is not there. */
static const char *option(const struct bootslang_boot_information *information, const char *word)
{
    const char *text = information->command_line;
    for (; *text; text++) {
        size_t same = 0;
        while (word[same] && text[same] == word[same])
            same++;
        if (!word[same])
            return text + same;
    }
    return NULL;
}

void main(const struct bootslang_boot_information *information, const struct registers *registers)
{
    check_image(information);                   /* first: until .bss and pointers are right, nothing here is */
    check_registers(information, registers);    /* control registers, flags, selectors, x87, interrupt controllers */
    check_descriptors(information);             /* GDT, TSS, IDT */
    check_page_tables(information);             /* every page that is mapped, its rights, and what lies behind it */
    check_stack(information, registers);        /* its size and the guard page */
    check_information(information);             /* addresses, texts, tables of the firmware */
    check_memory_map(information);              /* sorted, merged; what is in use is told */
    check_modules(information);                 /* their bytes, by the sums */
    print_information(information);
    wipe_free_memory(information);              /* then all of it must still be there */
    check_page_tables(information);
    check_information(information);
    check_modules(information);
    if (option(information, "paint"))
        paint(&information->framebuffer, information->direct_map);
    if (option(information, "fault="))
        fault_as_told(option(information, "fault="));
    print("all is well\n");
    end(PASS);
}
