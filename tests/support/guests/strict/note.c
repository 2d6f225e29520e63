/* The note by which the loader knows a kernel for the hand-off protocol, whatever its addresses look like. */

#include <stdint.h>

#include "bootslang.h"

__attribute__((section(".note.bootslang"), used, aligned(4))) static const struct {
    uint32_t name_size, size, type;
    char name[12];
    uint32_t version;
} note = {sizeof BOOTSLANG_NOTE_NAME, 4, BOOTSLANG_NOTE_TYPE, BOOTSLANG_NOTE_NAME, BOOTSLANG_VERSION};
