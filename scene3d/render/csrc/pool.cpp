// The pool: workers sleep on a condition variable, one job at a time, indices taken from an atomic counter. The calling
// thread works too. A fork leaves the child without workers, so the pool is rebuilt when the process id has changed.
#include "pool.h"

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#endif
#ifdef __linux__
#include <sched.h>
#endif

namespace scene3d {
namespace {

int available_processors() {
#ifdef __linux__
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0) return CPU_COUNT(&set);
#endif
  const int n = static_cast<int>(std::thread::hardware_concurrency());
  return n > 0 ? n : 1;
}

long process_id() {
#if defined(__unix__) || defined(__APPLE__)
  return static_cast<long>(getpid());
#else
  return 0;
#endif
}

class Pool {
 public:
  explicit Pool(int threads) {
    for (int worker = 1; worker < threads; ++worker) workers_.emplace_back([this, worker] { loop(worker); });
  }

  ~Pool() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (auto& worker : workers_) worker.join();
  }

  int size() const { return static_cast<int>(workers_.size()) + 1; }

  void run(int count, const std::function<void(int, int)>& body) {
    if (count <= 0) return;
    if (count == 1 || workers_.empty()) {
      for (int i = 0; i < count; ++i) body(i, 0);
      return;
    }
    {
      std::lock_guard<std::mutex> lock(mutex_);
      body_ = &body;
      count_ = count;
      next_.store(0);
      busy_ = static_cast<int>(workers_.size());
      ++generation_;
    }
    wake_.notify_all();
    drain(0);
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 0; });
    body_ = nullptr;
  }

 private:
  void drain(int worker) {
    for (int i = next_.fetch_add(1); i < count_; i = next_.fetch_add(1)) (*body_)(i, worker);
  }

  void loop(int worker) {
    unsigned seen = 0;
    for (;;) {
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
        if (stop_) return;
        seen = generation_;
      }
      drain(worker);
      std::lock_guard<std::mutex> lock(mutex_);
      if (--busy_ == 0) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  const std::function<void(int, int)>* body_ = nullptr;
  std::atomic<int> next_{0};
  int count_ = 0, busy_ = 0;
  unsigned generation_ = 0;
  bool stop_ = false;
};

std::mutex owner_mutex;  // One caller at a time: two Python threads that render take turns.
Pool* pool = nullptr;
long pool_process = -1;
int wanted = 0;

Pool& current_pool() {
  const int threads = wanted > 0 ? wanted : available_processors();
  if (pool != nullptr && pool_process != process_id()) pool = nullptr;  // Forked: the workers stayed with the parent.
  if (pool != nullptr && pool->size() != threads) {
    delete pool;
    pool = nullptr;
  }
  if (pool == nullptr) {
    pool = new Pool(threads);
    pool_process = process_id();
  }
  return *pool;
}

}  // namespace

void parallel_for(int count, const std::function<void(int, int)>& body) {
  std::lock_guard<std::mutex> lock(owner_mutex);
  current_pool().run(count, body);
}

int thread_count() { return wanted > 0 ? wanted : available_processors(); }

void set_thread_count(int count) {
  std::lock_guard<std::mutex> lock(owner_mutex);
  wanted = count > 0 ? count : 0;
}

}  // namespace scene3d
