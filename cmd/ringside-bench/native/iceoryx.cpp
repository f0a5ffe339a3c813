// SPDX-License-Identifier: Apache-2.0
//
// iceoryx publish|consume NAME ROWS: either end of an iceoryx topic, told what to
// do a line each, as consumer.c is. A scan is one chunk, which is the fewest
// notifications there can be. NAME is the process's own, as RouDi wants it.
#include "iceoryx_hoofs/log/logmanager.hpp"
#include "iceoryx_posh/popo/untyped_publisher.hpp"
#include "iceoryx_posh/popo/untyped_subscriber.hpp"
#include "iceoryx_posh/popo/wait_set.hpp"
#include "iceoryx_posh/runtime/posh_runtime.hpp"

#include "rows.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <poll.h>
#include <string>
#include <time.h>
#include <unistd.h>

namespace {

constexpr size_t KEY = 4, VALUE = 32, HEADER = 64;
constexpr uint64_t QUEUE = 4; // scans, as many as a ring holds
const iox::capro::ServiceDescription TOPIC{"ringside", "bench", "rows"};

struct Header {
    uint64_t scan, rows;
};

uint64_t total;

void sleep_ns(long ns)
{
    timespec t{0, ns};
    nanosleep(&t, nullptr);
}

uint64_t processor_ns()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return uint64_t(t.tv_sec) * 1000000000 + uint64_t(t.tv_nsec);
}

// A parent that died does not say goodbye on any other channel.
void check_parent()
{
    pollfd in{STDIN_FILENO, POLLIN, 0};
    if (poll(&in, 1, 0) == 1 && (in.revents & POLLHUP))
        exit(0);
}

struct Publisher {
    iox::popo::UntypedPublisher port{TOPIC};
    uint8_t scratch[SCRATCH]; // rows, in memory of our own
    size_t rows;

    explicit Publisher(size_t n) : rows(n)
    {
        for (size_t i = 0; i < SCRATCH; i++)
            scratch[i] = uint8_t(i);
    }

    void send(uint64_t scan)
    {
        for (bool sent = false; !sent; check_parent()) {
            port.loan(HEADER + rows * (KEY + VALUE), 64)
                .and_then([&](auto& chunk) {
                    Header h{scan, rows};
                    memcpy(chunk, &h, sizeof(h));
                    put_scan(static_cast<uint8_t*>(chunk) + HEADER, scratch, rows * (KEY + VALUE));
                    port.publish(chunk);
                    sent = true;
                })
                .or_else([](auto&) { sleep_ns(100000); }); // consumers hold all chunks
        }
    }

    // Scans first to last, a period apart. What sending them took of the processor.
    uint64_t run(uint64_t first, uint64_t last, uint64_t every_ns)
    {
        timespec due;
        uint64_t took = 0;
        clock_gettime(CLOCK_MONOTONIC, &due);
        for (uint64_t scan = first; scan <= last; scan++) {
            due.tv_nsec += long(every_ns);
            due.tv_sec += due.tv_nsec / 1000000000;
            due.tv_nsec %= 1000000000;
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, nullptr);
            uint64_t before = processor_ns();
            send(scan);
            took += processor_ns() - before;
        }
        return took;
    }
};

struct Consumer {
    iox::popo::WaitSet<> waits;
    iox::popo::UntypedSubscriber port;

    static iox::popo::SubscriberOptions options()
    {
        iox::popo::SubscriberOptions o;
        o.queueCapacity = QUEUE;
        return o;
    }

    Consumer() : port(TOPIC, options())
    {
        waits.attachState(port, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) { exit(70); });
        for (; port.getSubscriptionState() != iox::SubscribeState::SUBSCRIBED; check_parent())
            sleep_ns(1000000);
    }

    uint64_t take(uint64_t scan)
    {
        uint64_t rows = 0;
        for (bool end = false; !end;) {
            bool some = false;
            port.take().and_then([&](const void* chunk) {
                const auto* bytes = static_cast<const uint8_t*>(chunk);
                Header h;
                memcpy(&h, bytes, sizeof(h));
                total += sum_rows(bytes + HEADER, KEY, bytes + HEADER + h.rows * KEY, VALUE, h.rows);
                rows += h.rows;
                end = h.scan >= scan;
                some = true;
                port.release(chunk);
            });
            if (!some && waits.timedWait(iox::units::Duration::fromSeconds(1)).empty())
                check_parent();
        }
        return rows;
    }
};

} // namespace

int main(int argc, char** argv)
{
    if (argc != 4)
        return fprintf(stderr, "usage: iceoryx publish|consume NAME ROWS\n"), 64;
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(iox::cxx::TruncateToCapacity, argv[2]));
    Publisher* publisher = nullptr;
    Consumer* consumer = nullptr;
    char line[96];
    while (fgets(line, sizeof(line), stdin)) {
        uint64_t answer = 0, first, last, every, began = processor_ns();
        if (strcmp(line, "attach\n") == 0 && strcmp(argv[1], "publish") == 0)
            publisher = new Publisher(size_t(atoll(argv[3])));
        else if (strcmp(line, "attach\n") == 0)
            consumer = new Consumer;
        else if (consumer && sscanf(line, "take %" SCNu64, &last) == 1)
            answer = consumer->take(last);
        else if (publisher && sscanf(line, "publish %" SCNu64 " %" SCNu64 " %" SCNu64, &first, &last, &every) == 3)
            answer = publisher->run(first, last, every);
        else
            return fprintf(stderr, "told to %s", line), 64;
        printf("ok %" PRIu64 " %" PRIu64 "\n", answer, processor_ns() - began);
        fflush(stdout);
    }
    if (total == 1)
        fprintf(stderr, "an odd sum\n");
    delete consumer;
    delete publisher;
    return 0;
}
