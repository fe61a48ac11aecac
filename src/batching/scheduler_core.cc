#include "batching/scheduler_core.h"

namespace podsense::batching {

template class SchedulerCore<TaskPtr>;

}  // namespace podsense::batching
