// Writes to a member of a structure that is not there.
#include <stddef.h>

struct node {
  struct node* next;
  int value;
};

__attribute__((noinline)) static void set_value(struct node* node, int value) {
  node->value = value;  // CRASH
}

__attribute__((noinline)) static void visit(struct node* node) { set_value(node->next, 7); }

int main(void) {
  struct node last = {NULL, 1};
  visit(&last);
  return last.value;
}
