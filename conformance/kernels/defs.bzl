"""Certificates of guests, one for each architecture and kernel."""

def guest_certificate(name, architecture, kernel, image, only = [], size = "enormous", timeout = None, **kwargs):
    """A test that boots a kernel under QEMU and runs `utrace certify` in it.

    The certificate and the console's log are among the test's outputs (outputs.zip).

    Args:
      name: of the test target.
      architecture: "x86_64" or "aarch64".
      kernel: a label that stands for one kernel image.
      image: a guest_image() that holds //cli:certify_alone.
      only: what to test, as for `utrace certify --only`. Nothing: the whole suite, which is a certificate.
      size: as for any test.
      timeout: as for any test.
      **kwargs: further attributes of the test.
    """
    native.sh_test(
        name = name,
        size = size,
        timeout = timeout,
        srcs = ["//conformance/kernels:certify_in_guest.py"],
        args = [
            "--architecture=" + architecture,
            "--kernel=$(rootpath %s)" % kernel,
            "--image=$(rootpath %s)" % image,
        ] + ["--only=" + one for one in only],
        data = [
            kernel,
            image,
            "//conformance/kernels:guest.py",
        ],
        **kwargs
    )
