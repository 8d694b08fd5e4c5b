// One std::thread pool for the whole process. Work is handed out by index; what an index computes never depends on
// which worker runs it or on how many there are, so results are the same bits for any number of threads.
#pragma once
#include <functional>

namespace scene3d {

// Runs body(index, worker) for index in [0, count); worker is in [0, thread_count()). Returns when all are done.
void parallel_for(int count, const std::function<void(int, int)>& body);

int thread_count();
void set_thread_count(int count);  // 0 restores the number of processors this process may use.

}  // namespace scene3d
