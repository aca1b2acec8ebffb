/*
 * The workload of measured boots: it says when it runs, with the least work possible, so that the init is measured and not the workload.
 * No C library: static, some hundred bytes of code, a few pages of memory each. Linux on x86-64 only.
 *
 *   workload COUNT stay|exit|probe
 *
 * appends one record of 32 bytes with the monotonic clock to STAMPS; the one that makes it COUNT records wakes who waits on READY. "stay"
 * then runs until a signal ends it, "exit" is done, "probe" first waits until sshd, nginx and the D-Bus daemon answered.
 */
#define STAMPS "/dev/vmtest/stamps"
#define READY "/dev/vmtest/ready"
#define RECORD 32

enum { WRITE = 1, READ = 0, OPEN = 2, CLOSE = 3, LSEEK = 8, PAUSE = 34, NANOSLEEP = 35, SOCKET = 41, CONNECT = 42, EXIT = 60, CLOCK = 228 };
enum { O_WRONLY = 1, O_APPEND = 02000, SEEK_END = 2, AF_UNIX = 1, AF_INET = 2, SOCK_STREAM = 1, MONOTONIC = 1 };

struct timespec { long sec, nsec; };

static long call(long n, long a, long b, long c)
{
	long r;
	__asm__ volatile("syscall" : "=a"(r) : "a"(n), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
	return r;
}

/* One try: connect, send, and get at least one byte back. */
static int answers(int family, const void *address, int size, const char *hello, int length)
{
	char c;
	int ok, fd = call(SOCKET, family, SOCK_STREAM, 0);
	if (fd < 0)
		return 0;
	ok = call(CONNECT, fd, (long)address, size) == 0 && call(WRITE, fd, (long)hello, length) == length &&
	     call(READ, fd, (long)&c, 1) == 1;
	call(CLOSE, fd, 0, 0);
	return ok;
}

static int tcp_answers(int port, const char *hello, int length)
{
	unsigned char a[16] = { AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1 };
	return answers(AF_INET, a, sizeof a, hello, length);
}

static int dbus_answers(void)
{
	static const char hello[] = "\0AUTH EXTERNAL 30\r\n";
	struct { unsigned short family; char path[108]; } a = { AF_UNIX, "/run/dbus/system_bus_socket" };
	return answers(AF_UNIX, &a, sizeof a, hello, sizeof hello - 1);
}

static void probe(void)
{
	static const char get[] = "GET / HTTP/1.0\r\n\r\n", version[] = "SSH-2.0-probe\r\n";
	struct timespec some = { 0, 5000000 };
	while (!tcp_answers(22, version, sizeof version - 1))
		call(NANOSLEEP, (long)&some, 0, 0);
	while (!tcp_answers(80, get, sizeof get - 1))
		call(NANOSLEEP, (long)&some, 0, 0);
	while (!dbus_answers())
		call(NANOSLEEP, (long)&some, 0, 0);
}

/* "%031d\n" */
static void record(char *out, long value)
{
	int i;
	for (i = RECORD - 2; i >= 0; i--, value /= 10)
		out[i] = '0' + value % 10;
	out[RECORD - 1] = '\n';
}

static int number(const char *s)
{
	int n = 0;
	for (; *s >= '0' && *s <= '9'; s++)
		n = n * 10 + *s - '0';
	return n;
}

__attribute__((used)) static void start(long *stack)
{
	char **argv = (char **)(stack + 1), line[RECORD];
	struct timespec now;
	int fd;
	if (stack[0] != 3)
		call(EXIT, 64, 0, 0);
	if (argv[2][0] == 'p')
		probe();
	call(CLOCK, MONOTONIC, (long)&now, 0);
	record(line, now.sec * 1000000000 + now.nsec);
	fd = call(OPEN, (long)STAMPS, O_WRONLY | O_APPEND, 0);
	if (fd < 0 || call(WRITE, fd, (long)line, RECORD) != RECORD)
		call(EXIT, 74, 0, 0);
	if (call(LSEEK, fd, 0, SEEK_END) >= (long)number(argv[1]) * RECORD) {
		int ready = call(OPEN, (long)READY, O_WRONLY, 0);
		if (ready < 0 || call(WRITE, ready, (long)"!", 1) != 1)
			call(EXIT, 74, 0, 0);
		call(CLOSE, ready, 0, 0);
	}
	call(CLOSE, fd, 0, 0);
	while (argv[2][0] == 's')
		call(PAUSE, 0, 0, 0);
	call(EXIT, 0, 0, 0);
}

__asm__(".globl _start\n_start:\n\tmov %rsp, %rdi\n\tand $-16, %rsp\n\tcall start\n");
