/*
 * What qmail-remote is measured beside when no other program is named: a client as C programs of its kind are made, linked with
 * OpenSSL. One process, no sandbox, no DNS, nothing verified, nothing told but success; a command at a time, each wait by
 * select(2), control files read by stdio, the message copied octet by octet into a buffer. TCP_NODELAY, so that it does not wait for
 * acknowledgements. Only the bench runs it. CONTROL is where the control files are.
 *
 *     client HOST SENDER RECIPIENT...
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

static int connection;
static SSL *session;
static char in[1024], out[4096];
static int in_start, in_end, out_length;
static int timeout_connect = 60, timeout_remote = 1200;

static void give_up(const char *why) {
    printf("Z%s\n", why);
    fwrite("", 1, 1, stdout);
    exit(0);
}

/* The first line of a control file. */
static int control(const char *name, char *line, int size) {
    char path[256];
    snprintf(path, sizeof path, CONTROL "/%s", name);
    FILE *file = fopen(path, "r");
    if (!file) return 0;
    int found = fgets(line, size, file) != 0;
    fclose(file);
    if (found) line[strcspn(line, "\r\n")] = 0;
    return found;
}

/* The last route of this host, or of all: an address and a port. */
static int route(const char *host, char *address, int *port) {
    char line[1000];
    int found = 0;
    size_t length = strlen(host);
    FILE *file = fopen(CONTROL "/smtproutes", "r");
    if (!file) return 0;
    while (fgets(line, sizeof line, file)) {
        char *value = 0;
        if (line[0] == ':') value = line + 1;
        else if (!strncasecmp(line, host, length) && line[length] == ':') value = line + length + 1;
        if (value && sscanf(value, "%63[0-9.]%*[:;]%d", address, port) == 2) found = 1;
    }
    fclose(file);
    return found;
}

static void wait_for(int writing, int seconds) {
    fd_set set;
    struct timeval limit = {seconds, 0};
    FD_ZERO(&set);
    FD_SET(connection, &set);
    if (select(connection + 1, writing ? 0 : &set, writing ? &set : 0, 0, &limit) <= 0) give_up("timeout");
}

static void flush(void) {
    int done = 0;
    while (done < out_length) {
        int count;
        if (session) count = SSL_write(session, out + done, out_length - done);
        else {
            wait_for(1, timeout_remote);
            count = write(connection, out + done, out_length - done);
        }
        if (count <= 0) give_up("connection died");
        done += count;
    }
    out_length = 0;
}

static void put(char octet) {
    if (out_length == sizeof out) flush();
    out[out_length++] = octet;
}

static void puts_all(const char *text) {
    while (*text) put(*text++);
}

static char get(void) {
    if (in_start == in_end) {
        in_start = 0;
        if (session) in_end = SSL_read(session, in, sizeof in);
        else {
            wait_for(0, timeout_remote);
            in_end = read(connection, in, sizeof in);
        }
        if (in_end <= 0) give_up("connection died");
    }
    return in[in_start++];
}

/* Sends what was put, and reads a reply; whether a line of it has this word. */
static int answered(const char *code, const char *word) {
    char line[1000];
    int length, found = 0;
    flush();
    do {
        char octet;
        length = 0;
        while ((octet = get()) != '\n')
            if (length < (int)sizeof line - 1) line[length++] = octet;
        line[length] = 0;
        if (word && length > 4 && !strncmp(line + 4, word, strlen(word))) found = 1;
    } while (length > 3 && line[3] == '-');
    if (strncmp(line, code, 3)) give_up(line);
    return found;
}

static int hello(const char *name) {
    puts_all("EHLO ");
    puts_all(name);
    puts_all("\r\n");
    return answered("250", "STARTTLS");
}

static void start_tls(void) {
    puts_all("STARTTLS\r\n");
    answered("220", 0);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context || !(session = SSL_new(context))) give_up("TLS");
    SSL_set_fd(session, connection);
    if (SSL_connect(session) != 1) give_up("handshake");
}

static void blast(void) {
    static char message[4096];
    int at_start = 1, count;
    while ((count = read(0, message, sizeof message)) > 0)
        for (int place = 0; place < count; place++) {
            char octet = message[place];
            if (at_start && octet == '.') put('.');
            if (octet == '\n') put('\r');
            put(octet);
            at_start = octet == '\n';
        }
    puts_all(at_start ? ".\r\n" : "\r\n.\r\n");
}

int main(int count, char **words) {
    char name[256], line[256], address[64];
    int port, on = 1;
    struct sockaddr_in peer = {.sin_family = AF_INET};
    if (count < 4) {
        printf("D");
        return 0;
    }
    if (control("timeoutconnect", line, sizeof line)) timeout_connect = atoi(line);
    if (control("timeoutremote", line, sizeof line)) timeout_remote = atoi(line);
    if (!control("helohost", name, sizeof name) && !control("me", name, sizeof name)) give_up("control");
    if (!route(words[1], address, &port)) give_up("route");
    peer.sin_port = htons(port);
    if (inet_pton(AF_INET, address, &peer.sin_addr) != 1) give_up("address");
    connection = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(connection, (struct sockaddr *)&peer, sizeof peer)) give_up("connect");
    answered("220", 0);
    if (hello(name)) {
        start_tls();
        hello(name);
    }
    puts_all("MAIL FROM:<");
    puts_all(words[2]);
    puts_all(">\r\n");
    answered("250", 0);
    for (int place = 3; place < count; place++) {
        puts_all("RCPT TO:<");
        puts_all(words[place]);
        puts_all(">\r\n");
        answered("250", 0);
        fwrite("r", 1, 2, stdout);
    }
    puts_all("DATA\r\n");
    answered("354", 0);
    blast();
    answered("250", 0);
    puts_all("QUIT\r\n");
    flush();
    printf("K%s accepted message.\n", address);
    fwrite("", 1, 1, stdout);
    return 0;
}
