// What a controller of a storm does to one task.
#ifndef STRESS_STORM_VISIT_H_
#define STRESS_STORM_VISIT_H_

#include <memory>

#include "stress/storm/storm.h"

namespace utrace::storm {

// Attaches an engine, does something with it at random and takes it off again. Controllers only.
void Visit(Storm* storm, const std::shared_ptr<Watched>& watched, Random* random);
// A random while, by the storm's pace.
void Pause(Storm* storm, Random* random);

}  // namespace utrace::storm

#endif  // STRESS_STORM_VISIT_H_
