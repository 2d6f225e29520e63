/* The guest's console: the first serial port, by waiting; and the ways to end the machine. */

#include <stdarg.h>

#include "guest.h"

enum { SERIAL = 0x3F8, SERIAL_STATUS = SERIAL + 5, SERIAL_READY = 0x20, DEBUG_EXIT = 0xF4 };

static void put(char byte)
{
    while (!(read_port(SERIAL_STATUS) & SERIAL_READY))
        ;
    write_port(SERIAL, (uint8_t)byte);
}

static void put_hexadecimal(uint64_t value)
{
    int digits = 1;
    while (digits < 16 && value >> (4 * digits))
        digits++;
    while (digits--)
        put("0123456789abcdef"[value >> (4 * digits) & 15]);
}

void print(const char *format, ...)
{
    va_list values;
    va_start(values, format);
    for (; *format; format++) {
        if (*format != '%') {
            put(*format);
            continue;
        }
        format++;
        if (*format == 'x') {
            put_hexadecimal(va_arg(values, uint64_t));
            continue;
        }
        size_t size = *format == 'S' ? va_arg(values, size_t) : SIZE_MAX;
        const char *text = va_arg(values, const char *);
        for (size_t at = 0; at < size && (size != SIZE_MAX || text[at]); at++)
            put(text[at]);
    }
    va_end(values);
}

_Noreturn void end(uint8_t code)
{
    write_port(DEBUG_EXIT, code);
    for (;;)
        __asm__ volatile("hlt");
}

_Noreturn void fail(const char *file, int line, const char *condition)
{
    print("FAILED %s line %x: %s\n", file, (uint64_t)line, condition);
    end(FAIL);
}

void check_equal(const char *file, int line, const char *condition, uint64_t got, uint64_t wanted)
{
    if (got == wanted)
        return;
    print("got %x, wanted %x\n", got, wanted);
    fail(file, line, condition);
}
