// Dies of an illegal instruction; with a debugger that skips it, ends with status 4.
int main(void) {
  __asm__ volatile("ud2");
  return 4;
}
