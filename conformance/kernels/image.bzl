"""Initial file systems of guests: programs as they are built, with all that they need to run."""

load("//toolchains:arm64.bzl", "to_arm64")

def _targets(attribute):
    """A list, whether the attribute has a transition or not."""
    return attribute if type(attribute) == "list" else [attribute]

def _image_impl(ctx):
    places = {"/init": _targets(ctx.attr.init)[0][DefaultInfo].files_to_run.executable}
    for program in ctx.attr.programs:
        for files in [program[DefaultInfo].files, program[DefaultInfo].default_runfiles.files]:
            for file in files.to_list():
                places["/suite/utrace/" + file.short_path] = file
    for label, place in ctx.attr.files.items():
        places[place] = label.files.to_list()[0]
    manifest = ctx.actions.declare_file(ctx.label.name + ".manifest")
    ctx.actions.write(
        manifest,
        "".join(["%s\t%s\n" % (place, places[place].path) for place in sorted(places)] +
                ["%s\t%s\n" % (place, path) for place, path in sorted(ctx.attr.system_files.items())]),
    )
    image = ctx.actions.declare_file(ctx.label.name + ".cpio")
    arguments = ctx.actions.args()
    arguments.add("--manifest", manifest)
    arguments.add("--out", image)
    arguments.add_joined("--library-path", ctx.attr.library_path, join_with = ":")
    arguments.add("--readelf", ctx.attr.binutils + "readelf")
    arguments.add("--strip", ctx.attr.binutils + "strip")
    ctx.actions.run(
        executable = ctx.executable._pack,
        arguments = [arguments],
        inputs = [manifest] + places.values() + ctx.files.libraries,
        outputs = [image],
        mnemonic = "PackGuest",
        progress_message = "Packing the files of guest %s" % ctx.label.name,
        # Its libraries are the machine's.
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([image]), runfiles = ctx.runfiles(files = [image]))]

def _attributes(transition):
    """The attributes of an image of programs that are built for another machine by `transition`, or for this."""
    built = {"cfg": transition} if transition else {}
    allowed = {
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    } if transition else {}
    return dict(allowed, **{
        "init": attr.label(mandatory = True, doc = "The first process.", **built),
        "programs": attr.label_list(
            doc = "Go to /suite/utrace/ as in a runfiles tree, with their runfiles.",
            **built
        ),
        "files": attr.label_keyed_string_dict(allow_files = True, doc = "Files, and their places in the guest."),
        "system_files": attr.string_dict(doc = "Places in the guest, and the machine's files that go there."),
        "library_path": attr.string_list(mandatory = True, doc = "Directories of shared libraries."),
        "libraries": attr.label_list(doc = "What of these directories Bazel knows."),
        "binutils": attr.string(doc = "Prefix of the names of readelf and strip."),
        "_pack": attr.label(
            default = "//conformance/kernels:pack",
            executable = True,
            cfg = "exec",
        ),
    })

guest_image = rule(
    implementation = _image_impl,
    doc = "NAME.cpio, for guest.py.",
    attrs = _attributes(None),
)

arm64_guest_image = rule(
    implementation = _image_impl,
    doc = "The same of programs that are built for arm64.",
    attrs = _attributes(to_arm64),
)
