#include "core/owner.h"

namespace utrace {
namespace {

Owner*& Innermost() { return ThreadLocal<class InnermostOwnerTag, Owner*>::Get(); }

}  // namespace

OwnerScope::OwnerScope(Owner* owner) : previous_(Innermost()) { Innermost() = owner; }

OwnerScope::~OwnerScope() { Innermost() = previous_; }

Owner* OwnerScope::Current() { return Innermost(); }

}  // namespace utrace
