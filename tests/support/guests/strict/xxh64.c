/* XXH64 with seed 0: the checksum of modules. https://github.com/Cyan4973/xxHash/blob/dev/doc/xxhash_spec.md */

#include "guest.h"

#define PRIME1 0x9E3779B185EBCA87ull
#define PRIME2 0xC2B2AE3D27D4EB4Full
#define PRIME3 0x165667B19E3779F9ull
#define PRIME4 0x85EBCA77C2B2AE63ull
#define PRIME5 0x27D4EB2F165667C5ull
enum { STRIPE = 32, LANES = 4 };

static uint64_t rotate(uint64_t value, int bits)
{
    return value << bits | value >> (64 - bits);
}

static uint64_t mix(uint64_t lane, uint64_t word)
{
    return rotate(lane + word * PRIME2, 31) * PRIME1;
}

static uint64_t word_at(const uint8_t *data)
{
    return *(const uint64_t *)data; /* x86 reads from any address */
}

static uint64_t sum_stripes(const uint8_t **data, const uint8_t *end)
{
    uint64_t lanes[LANES] = {PRIME1 + PRIME2, PRIME2, 0, -PRIME1};
    for (; end - *data >= STRIPE; *data += STRIPE)
        for (int lane = 0; lane < LANES; lane++)
            lanes[lane] = mix(lanes[lane], word_at(*data + 8 * lane));
    uint64_t sum = rotate(lanes[0], 1) + rotate(lanes[1], 7) + rotate(lanes[2], 12) + rotate(lanes[3], 18);
    for (int lane = 0; lane < LANES; lane++)
        sum = (sum ^ mix(0, lanes[lane])) * PRIME1 + PRIME4;
    return sum;
}

uint64_t xxh64(const uint8_t *data, size_t size)
{
    const uint8_t *end = data + size;
    uint64_t sum = size >= STRIPE ? sum_stripes(&data, end) : PRIME5;
    sum += size;
    for (; end - data >= 8; data += 8)
        sum = rotate(sum ^ mix(0, word_at(data)), 27) * PRIME1 + PRIME4;
    if (end - data >= 4) {
        sum = rotate(sum ^ *(const uint32_t *)data * PRIME1, 23) * PRIME2 + PRIME3;
        data += 4;
    }
    while (data < end)
        sum = rotate(sum ^ *data++ * PRIME5, 11) * PRIME1;
    sum = (sum ^ sum >> 33) * PRIME2;
    sum = (sum ^ sum >> 29) * PRIME3;
    return sum ^ sum >> 32;
}
