/*
** dq_hash.c - XXH64, written from its public specification
** ("xxHash fast digest algorithm", version 0.1.1). Little-endian hosts only,
** as is the page checksum's definition in docs/formats/database.md.
*/
#include "dq_internal.h"

#define P1 0x9E3779B185EBCA87ULL
#define P2 0xC2B2AE3D27D4EB4FULL
#define P3 0x165667B19E3779F9ULL
#define P4 0x85EBCA77C2B2AE63ULL
#define P5 0x27D4EB2F165667C5ULL

static uint64_t rotl(uint64_t x, int r) { return (x << r) | (x >> (64 - r)); }

static uint64_t get64(const uint8_t *p) {
  uint64_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static uint32_t get32(const uint8_t *p) {
  uint32_t v;
  memcpy(&v, p, sizeof v);
  return v;
}

static uint64_t round64(uint64_t acc, uint64_t lane) { return rotl(acc + lane * P2, 31) * P1; }

static uint64_t merge(uint64_t acc, uint64_t v) { return (acc ^ round64(0, v)) * P1 + P4; }

uint64_t dq_xxh64(const void *data, size_t n, uint64_t seed) {
  const uint8_t *p = data, *end = p + n;
  uint64_t acc;
  if (n >= 32) {
    uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
    for (; end - p >= 32; p += 32) {
      a = round64(a, get64(p));
      b = round64(b, get64(p + 8));
      c = round64(c, get64(p + 16));
      d = round64(d, get64(p + 24));
    }
    acc = rotl(a, 1) + rotl(b, 7) + rotl(c, 12) + rotl(d, 18);
    acc = merge(merge(merge(merge(acc, a), b), c), d);
  } else {
    acc = seed + P5;
  }
  acc += n;
  for (; end - p >= 8; p += 8) acc = rotl(acc ^ round64(0, get64(p)), 27) * P1 + P4;
  if (end - p >= 4) {
    acc = rotl(acc ^ (get32(p) * P1), 23) * P2 + P3;
    p += 4;
  }
  for (; p < end; p++) acc = rotl(acc ^ (*p * P5), 11) * P1;
  acc = (acc ^ (acc >> 33)) * P2;
  acc = (acc ^ (acc >> 29)) * P3;
  return acc ^ (acc >> 32);
}

uint64_t dq_page_checksum(uint32_t page_number, const void *page, uint32_t page_size) {
  return dq_xxh64(page, page_size, page_number);
}
