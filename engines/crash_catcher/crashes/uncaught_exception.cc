// Throws what nobody catches.
#include <stdexcept>
#include <string>

namespace shop {

class Order {
 public:
  explicit Order(int count) : count_(count) {}
  __attribute__((noinline)) void Check() const {
    if (count_ > 0) throw std::runtime_error("order of " + std::to_string(count_));  // CRASH
  }

 private:
  int count_;
};

}  // namespace shop

int main(int argc, char**) {
  const shop::Order order(argc);
  order.Check();
  return 0;
}
