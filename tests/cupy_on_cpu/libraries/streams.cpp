// libamdhip64, third part: streams, events and graphs, and the queue of what was asked for.
//
// All streams share one queue, so that work happens in the order in which it was asked for: one
// of the orders that a GPU may choose. By default each operation happens at once.
#include <chrono>
#include <deque>
#include <set>
#include <vector>

#include "standin.h"

namespace standin {

struct Graph {
  std::vector<Operation> operations;
};

struct Stream {
  int device;
  unsigned flags;
  Graph* capture = nullptr;
};

using Clock = std::chrono::steady_clock;
struct Event {
  Clock::time_point time;
  bool recorded = false;
  bool pending = false;
};

static std::deque<Operation> queue;  // empty but for the check "deferred"
static std::set<Stream*> streams;
static int capturing = 0;

// The streams that HIP does not create: the null stream, the legacy and the per-thread default.
static bool is_default(void* stream) { return reinterpret_cast<uintptr_t>(stream) <= 2; }

static Error find_stream(void* handle, Stream** stream) {
  *stream = nullptr;
  if (is_default(handle)) return SUCCESS;
  if (!streams.count(static_cast<Stream*>(handle))) {
    return failure(INVALID_HANDLE, "the stream is not there any more");
  }
  *stream = static_cast<Stream*>(handle);
  return SUCCESS;
}

static Error run(const Operation& operation) {
  Error error = operation();
  if (!error && checks().red_zones) error = check_red_zones();
  return error;
}

Error submit(void* handle, Counter counter, Operation operation) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return error;
  if (stream && stream->capture) {
    stream->capture->operations.push_back(std::move(operation));
    return SUCCESS;
  }
  count(counter);
  if (!checks().deferred) return run(operation);
  queue.push_back(std::move(operation));
  return SUCCESS;
}

Error drain() {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Error first = SUCCESS;
  while (!queue.empty()) {
    Operation operation = std::move(queue.front());
    queue.pop_front();
    Error error = run(operation);
    if (!first) first = error;
  }
  return first;
}

bool is_capturing(void* handle) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  return !find_stream(handle, &stream) && stream && stream->capture;
}

// A wait of the host. While a graph is being captured there is nothing that could be waited for.
static int wait(void* handle) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return result(error);
  if (stream ? stream->capture != nullptr : capturing > 0) {
    return result(failure(CAPTURE_UNSUPPORTED, "a wait while the stream is being captured"));
  }
  count(Counter::syncs);
  return result(drain());
}

}  // namespace standin

using namespace standin;

// --- streams -----------------------------------------------------------------------------------

STANDIN_EXPORT int hipDeviceSynchronize() { return wait(nullptr); }

STANDIN_EXPORT int hipStreamCreateWithFlags(void** out, unsigned flags) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream = new Stream{current_device(), flags};
  streams.insert(stream);
  *out = stream;
  return SUCCESS;
}

STANDIN_EXPORT int hipStreamCreate(void** out) { return hipStreamCreateWithFlags(out, 0); }

STANDIN_EXPORT int hipStreamCreateWithPriority(void** out, unsigned flags, int) {
  return hipStreamCreateWithFlags(out, flags);
}

STANDIN_EXPORT int hipStreamDestroy(void* handle) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return result(error);
  if (!stream || stream->capture) return result(INVALID_HANDLE);
  streams.erase(stream);
  delete stream;
  return SUCCESS;
}

STANDIN_EXPORT int hipStreamSynchronize(void* stream) { return wait(stream); }

STANDIN_EXPORT int hipStreamQuery(void*) { return queue.empty() ? SUCCESS : NOT_READY; }

STANDIN_EXPORT int hipStreamGetFlags(void* handle, unsigned* flags) {
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return result(error);
  *flags = stream ? stream->flags : 0;
  return SUCCESS;
}

STANDIN_EXPORT int hipStreamGetPriority(void*, int* priority) {
  *priority = 0;
  return SUCCESS;
}

STANDIN_EXPORT int hipGetStreamDeviceId(void* handle) {
  Stream* stream;
  if (find_stream(handle, &stream)) return -1;
  return stream ? stream->device : current_device();
}

STANDIN_EXPORT int hipStreamWaitEvent(void* handle, void*, unsigned) {
  // One queue for all streams: what the event waits for is ahead anyway.
  if (is_capturing(handle)) {
    return result(failure(NOT_SUPPORTED, "a captured graph of several streams"));
  }
  return SUCCESS;
}

STANDIN_EXPORT int hipLaunchHostFunc(void* stream, void (*function)(void*), void* argument) {
  return result(submit(stream, Counter::none, [=] {
    function(argument);
    return SUCCESS;
  }));
}

STANDIN_EXPORT int hipStreamAddCallback(void* stream, void (*function)(void*, int, void*),
                                        void* argument, unsigned) {
  return result(submit(stream, Counter::none, [=] {
    function(stream, SUCCESS, argument);
    return SUCCESS;
  }));
}

// --- events ------------------------------------------------------------------------------------

STANDIN_EXPORT int hipEventCreateWithFlags(void** event, unsigned) {
  *event = new Event;
  return SUCCESS;
}

STANDIN_EXPORT int hipEventCreate(void** event) { return hipEventCreateWithFlags(event, 0); }

STANDIN_EXPORT int hipEventDestroy(void* event) {
  if (Error error = drain()) return result(error);
  delete static_cast<Event*>(event);
  return SUCCESS;
}

STANDIN_EXPORT int hipEventRecord(void* handle, void* stream) {
  if (is_capturing(stream)) {
    return result(failure(NOT_SUPPORTED, "an event in a captured graph"));
  }
  Event* event = static_cast<Event*>(handle);
  event->pending = true;
  return result(submit(stream, Counter::none, [=] {
    event->time = Clock::now();
    event->recorded = true;
    event->pending = false;
    return SUCCESS;
  }));
}

STANDIN_EXPORT int hipEventSynchronize(void*) {
  count(Counter::syncs);
  return result(drain());
}

STANDIN_EXPORT int hipEventQuery(void* event) {
  return static_cast<Event*>(event)->pending ? NOT_READY : SUCCESS;
}

STANDIN_EXPORT int hipEventElapsedTime(float* milliseconds, void* from, void* to) {
  Event *a = static_cast<Event*>(from), *b = static_cast<Event*>(to);
  if (!a->recorded || !b->recorded) return result(INVALID_HANDLE);
  *milliseconds = std::chrono::duration<float, std::milli>(b->time - a->time).count();
  return SUCCESS;
}

// --- graphs ------------------------------------------------------------------------------------

STANDIN_EXPORT int hipStreamBeginCapture(void* handle, int) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return result(error);
  if (!stream) return result(failure(CAPTURE_UNSUPPORTED, "the default stream is not captured"));
  if (stream->capture) return result(failure(INVALID_VALUE, "the stream is being captured"));
  stream->capture = new Graph;
  capturing++;
  return SUCCESS;
}

STANDIN_EXPORT int hipStreamEndCapture(void* handle, void** graph) {
  std::lock_guard<std::recursive_mutex> guard(device_mutex());
  Stream* stream;
  if (Error error = find_stream(handle, &stream)) return result(error);
  if (!stream || !stream->capture) {
    return result(failure(INVALID_VALUE, "the stream is not being captured"));
  }
  *graph = stream->capture;
  stream->capture = nullptr;
  capturing--;
  return SUCCESS;
}

STANDIN_EXPORT int hipStreamIsCapturing(void* stream, int* status) {
  *status = is_capturing(stream);
  return SUCCESS;
}

STANDIN_EXPORT int hipGraphInstantiate(void** executable, void* graph, void**, char*, size_t) {
  *executable = new Graph(*static_cast<Graph*>(graph));
  return SUCCESS;
}

STANDIN_EXPORT int hipGraphLaunch(void* executable, void* stream) {
  Graph graph = *static_cast<Graph*>(executable);
  return result(submit(stream, Counter::graphs, [graph] {
    for (auto& operation : graph.operations) {
      if (Error error = run(operation)) return error;
    }
    return SUCCESS;
  }));
}

STANDIN_EXPORT int hipGraphDestroy(void* graph) {
  delete static_cast<Graph*>(graph);
  return SUCCESS;
}

STANDIN_EXPORT int hipGraphExecDestroy(void* executable) { return hipGraphDestroy(executable); }
