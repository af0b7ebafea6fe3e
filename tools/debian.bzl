"""Debian packages of other architectures and suites, fetched when a target first needs them."""

def _debian_packages_impl(context):
    script = context.path(Label("//tools:fetch_packages.sh"))
    result = context.execute(
        [script, context.attr.architecture, ",".join(context.attr.suites)] + context.attr.packages,
        timeout = 1200,
    )
    if result.return_code != 0:
        fail("%s cannot be fetched:\n%s" % (", ".join(context.attr.packages), result.stderr))
    context.file("BUILD", context.attr.build_file_content)

debian_packages = repository_rule(
    implementation = _debian_packages_impl,
    doc = "Packages unpacked below root/, and packages.txt, which names them. `bazel sync` fetches newer ones.",
    attrs = {
        "architecture": attr.string(mandatory = True, doc = "As Debian names it."),
        "suites": attr.string_list(mandatory = True, doc = "Where to look for them; the last has precedence."),
        "packages": attr.string_list(mandatory = True),
        "build_file_content": attr.string(mandatory = True),
    },
)

def debian_kernel(name, architecture, suite, package):
    """A kernel's image as @name//:kernel."""
    debian_packages(
        name = name,
        architecture = architecture,
        suites = [suite],
        packages = [package],
        build_file_content = """
filegroup(
    name = "kernel",
    srcs = glob([
        "root/boot/vmlinuz-*",
        "root/usr/lib/modules/*/vmlinuz",
    ]),
    visibility = ["//visibility:public"],
)
""",
    )
