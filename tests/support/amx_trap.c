/* A processor's tile unit (Intel AMX) for processors without one; loaded by LD_PRELOAD.

   A processor without the unit answers each of its instructions with SIGILL. The handler here does
   what Intel's manual says of the instruction (volume 2, "TDPBF16PS" and so on), on tiles in memory,
   and goes on behind it. It ends the process where the unit would raise an exception, and says why.
   The file /proc/cpuinfo and the system call that asks for permission answer as on a processor
   with the unit. All else is the machine's own. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <immintrin.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, WIDTH = 64 };

struct unit {
    int configured;
    int start_row;
    int rows[TILES], bytes[TILES];
    uint8_t tile[TILES][ROWS][WIDTH];
};

static _Thread_local struct unit unit __attribute__((tls_model("initial-exec")));

/* For tests: how often each instruction ran, and whether this thread's unit is configured. */
enum { CONFIGURE, RELEASE, ZERO, LOAD, STORE, MULTIPLY, KINDS };
long amx_trap_counts[KINDS];

int amx_trap_configured(void) { return unit.configured; }

static void fail(const char *what, long a, long b) {
    fprintf(stderr, "amx_trap: %s (%ld, %ld)\n", what, a, b);
    fflush(stderr);
    signal(SIGABRT, SIG_DFL);
    abort();
}

static void need(int holds, const char *what, long a, long b) {
    if (!holds) fail(what, a, b);
}

static void valid(int t) {
    need(unit.configured, "#UD: tiles are not configured; tile", t, 0);
    need(t < TILES && unit.rows[t] > 0, "#UD: not a valid tile", t, 0);
}

/* --- the instructions ------------------------------------------------------------------------ */

static void release(void) { memset(&unit, 0, sizeof unit); }

static void configure(const uint8_t *from) {
    uint8_t given[64];
    memcpy(given, from, sizeof given);
    need(given[0] <= 1, "#GP: palette", given[0], 1);
    if (given[0] == 0) {
        release();
        return;
    }
    for (int i = 2; i < 64; i++)
        if (i < 16 || (32 <= i && i < 48) || i >= 56)
            need(given[i] == 0, "#GP: a reserved byte of a configuration isn't 0", i, given[i]);
    memset(&unit, 0, sizeof unit);
    for (int t = 0; t < TILES; t++) {
        int rows = given[48 + t], bytes = given[16 + 2 * t] | given[17 + 2 * t] << 8;
        need(rows <= ROWS && bytes <= WIDTH, "#GP: a tile is too large", rows, bytes);
        need((rows == 0) == (bytes == 0), "#GP: one of rows and bytes is 0", rows, bytes);
        unit.rows[t] = rows;
        unit.bytes[t] = bytes;
    }
    unit.start_row = given[1];
    unit.configured = 1;
}

static void zero(int t) {
    valid(t);
    memset(unit.tile[t], 0, sizeof unit.tile[t]);
}

static void load(int t, const uint8_t *from, long stride) {
    valid(t);
    for (int i = unit.start_row; i < ROWS; i++) {
        memset(unit.tile[t][i], 0, WIDTH);
        if (i < unit.rows[t]) memcpy(unit.tile[t][i], from + i * stride, unit.bytes[t]);
    }
    unit.start_row = 0;
}

static void store(int t, uint8_t *to, long stride) {
    valid(t);
    for (int i = unit.start_row; i < unit.rows[t]; i++)
        memcpy(to + i * stride, unit.tile[t][i], unit.bytes[t]);
    unit.start_row = 0;
}

/* Rounding and zeros for numbers below the normal ones are the processor's: see `multiply`. */
static void __attribute__((noinline)) sums(int c, int a, int b) {
    for (int m = 0; m < unit.rows[c]; m++) {
        float even[16] = {0}, odd[16] = {0}, row[16];
        for (int k = 0; k < unit.bytes[a] / 4; k++) {
            uint32_t left, high;
            float x, y;
            memcpy(&left, &unit.tile[a][m][4 * k], 4);
            high = left & 0xffff0000u, left <<= 16;
            memcpy(&x, &left, 4), memcpy(&y, &high, 4);
            for (int n = 0; n < 16; n++) {
                uint32_t right, upper;
                float u, v;
                memcpy(&right, &unit.tile[b][k][4 * n], 4);
                upper = right & 0xffff0000u, right <<= 16;
                memcpy(&u, &right, 4), memcpy(&v, &upper, 4);
                even[n] = __builtin_fmaf(x, u, even[n]);
                odd[n] = __builtin_fmaf(y, v, odd[n]);
            }
        }
        memcpy(row, unit.tile[c][m], WIDTH);
        for (int n = 0; n < 16; n++) row[n] += even[n] + odd[n];
        memset(unit.tile[c][m], 0, WIDTH);
        memcpy(unit.tile[c][m], row, unit.bytes[c]);
    }
    memset(unit.tile[c][unit.rows[c]], 0, (size_t)(ROWS - unit.rows[c]) * WIDTH);
}

static void multiply(int c, int a, int b) {
    valid(a), valid(b), valid(c);
    need(a != b && b != c && a != c, "#UD: a tile twice", a, b);
    need(unit.bytes[a] % 4 == 0 && unit.bytes[b] % 4 == 0, "#UD: bytes", unit.bytes[a], unit.bytes[b]);
    need(unit.bytes[c] == unit.bytes[b], "#UD: columns differ", unit.bytes[c], unit.bytes[b]);
    need(unit.rows[c] == unit.rows[a], "#UD: rows differ", unit.rows[c], unit.rows[a]);
    need(unit.bytes[a] / 4 == unit.rows[b], "#UD: terms differ", unit.bytes[a], unit.rows[b]);
    unsigned before = _mm_getcsr();
    _mm_setcsr(_MM_MASK_MASK | _MM_FLUSH_ZERO_ON | _MM_DENORMALS_ZERO_ON | _MM_ROUND_NEAREST);
    sums(c, a, b);
    _mm_setcsr(before);
    unit.start_row = 0;
}

/* --- decoding -------------------------------------------------------------------------------- */

static const int REGISTERS[16] = {
    REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
    REG_R8,  REG_R9,  REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15,
};

struct place {
    long address, stride;
    int length; /* of ModRM, SIB and displacement */
};

/* What ModRM at `p` says of memory; `base_bit` and `index_bit` are 8 or 0, of the prefix. */
static struct place memory_operand(const uint8_t *p, int base_bit, int index_bit, greg_t *regs) {
    int mode = p[0] >> 6, low = p[0] & 7, base = low, length = 1;
    long stride = 0, address = 0;
    if (low == 4) {
        int index = (p[1] >> 3 & 7) | index_bit;
        if (index != 4) stride = regs[REGISTERS[index]] * (1L << (p[1] >> 6));
        base = p[1] & 7;
        length = 2;
    }
    int has_base = !(base == 5 && mode == 0);
    if (has_base) address = regs[REGISTERS[base | base_bit]];
    if (mode == 1) {
        address += (int8_t)p[length];
        length += 1;
    } else if (mode == 2 || !has_base) {
        int32_t displacement;
        memcpy(&displacement, p + length, 4);
        address += displacement;
        length += 4;
        if (!has_base && low == 5) address += (long)p + length; /* from the next instruction */
    }
    return (struct place){address, stride, length};
}

/* The length of the tile instruction at `p`, which is done; 0 if there is another one. */
static int run(const uint8_t *p, greg_t *regs) {
    /* All have the VEX prefix of three bytes, the map 0F38, W0 and 128 bits. */
    if (p[0] != 0xc4 || (p[1] & 0x1f) != 2 || (p[2] & 0x84) != 0) return 0;
    int prefix = p[2] & 3, third = ~p[2] >> 3 & 15, opcode = p[3], modrm = p[4];
    int in_memory = modrm >> 6 != 3, reg = (modrm >> 3 & 7) | (p[1] & 0x80 ? 0 : 8);
    int base_bit = p[1] & 0x20 ? 0 : 8, index_bit = p[1] & 0x40 ? 0 : 8;
    enum { NONE, P66, PF3, PF2 };
    struct place place = {0, 0, 1};
    if (in_memory) place = memory_operand(p + 4, base_bit, index_bit, regs);
    int kind;
    if (opcode == 0x49 && prefix == NONE && in_memory && reg == 0) {
        kind = CONFIGURE;
        configure((const uint8_t *)place.address);
    } else if (opcode == 0x49 && prefix == NONE && modrm == 0xc0) {
        kind = RELEASE;
        release();
    } else if (opcode == 0x49 && prefix == PF2 && !in_memory && (modrm & 7) == 0) {
        kind = ZERO;
        zero(reg);
    } else if (opcode == 0x4b && (prefix == PF2 || prefix == P66) && in_memory && (modrm & 7) == 4) {
        kind = LOAD;
        load(reg, (const uint8_t *)place.address, place.stride);
    } else if (opcode == 0x4b && prefix == PF3 && in_memory && (modrm & 7) == 4) {
        kind = STORE;
        store(reg, (uint8_t *)place.address, place.stride);
    } else if (opcode == 0x5c && prefix == PF3 && !in_memory) {
        kind = MULTIPLY;
        multiply(reg, (modrm & 7) | base_bit, third);
    } else {
        return 0;
    }
    __atomic_fetch_add(&amx_trap_counts[kind], 1, __ATOMIC_RELAXED);
    return 4 + place.length;
}

static void handle(int number, siginfo_t *info, void *context) {
    greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
    const uint8_t *p = (const uint8_t *)regs[REG_RIP];
    int length = run(p, regs);
    if (length == 0) {
        fprintf(stderr, "amx_trap: an unknown instruction:");
        for (int i = 0; i < 12; i++) fprintf(stderr, " %02x", p[i]);
        fprintf(stderr, "\n");
        signal(number, SIG_DFL); /* which ends the process there */
        return;
    }
    (void)info;
    regs[REG_RIP] += length;
}

/* --- what a process asks the system ---------------------------------------------------------- */

static long system_call(long number, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}

long syscall(long number, ...) {
    long x[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++) x[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_arch_prctl && x[0] == 0x1023 && x[1] == 18) return 0;
    long result = system_call(number, x[0], x[1], x[2], x[3], x[4], x[5]);
    if (-4096 < result && result < 0) {
        errno = (int)-result;
        return -1;
    }
    return result;
}

/* A file as /proc/cpuinfo, of a processor with the unit. */
static int cpuinfo(void) {
    static const char text[] = "processor\t: 0\nflags\t\t: amx_bf16 amx_tile\n";
    int file = memfd_create("cpuinfo", MFD_CLOEXEC);
    if (file >= 0 && (write(file, text, sizeof text - 1) < 0 || lseek(file, 0, SEEK_SET) < 0))
        return -1;
    return file;
}

int open64(const char *path, int flags, ...) {
    va_list rest;
    va_start(rest, flags);
    int mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, int) : 0;
    va_end(rest);
    if (strcmp(path, "/proc/cpuinfo") == 0) return cpuinfo();
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode, 0, 0);
}

int open(const char *path, int flags, ...) __attribute__((alias("open64")));

static void __attribute__((constructor)) install(void) {
    struct sigaction action = {0};
    action.sa_sigaction = handle;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGILL, &action, NULL);
}
