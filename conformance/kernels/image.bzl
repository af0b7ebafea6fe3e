"""Initial file systems of guests: programs as they are built, with all that they need to run."""

def _image_impl(ctx):
    places = {"/init": ctx.executable.init}
    for program in ctx.attr.programs:
        for file in [program[DefaultInfo].files, program[DefaultInfo].default_runfiles.files]:
            for entry in file.to_list():
                if entry.is_source and entry.is_directory:
                    continue
                places["/suite/utrace/" + entry.short_path] = entry
    files = depset(places.values())
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
        inputs = depset([manifest] + ctx.files.libraries, transitive = [files]),
        outputs = [image],
        mnemonic = "PackGuest",
        progress_message = "Packing the guest's files %{label}",
        # Its libraries are the machine's.
        use_default_shell_env = True,
    )
    return [DefaultInfo(files = depset([image]), runfiles = ctx.runfiles(files = [image]))]

_ATTRIBUTES = {
    "init": attr.label(mandatory = True, executable = True, cfg = "target", doc = "The first process."),
    "programs": attr.label_list(doc = "Go to /suite/utrace/ as in a runfiles tree, with their runfiles."),
    "system_files": attr.string_dict(doc = "Places in the guest, and the machine's files that go there."),
    "library_path": attr.string_list(mandatory = True, doc = "Directories of shared libraries."),
    "libraries": attr.label_list(doc = "What of these directories Bazel knows."),
    "binutils": attr.string(doc = "Prefix of the names of readelf and strip."),
    "_pack": attr.label(
        default = "//conformance/kernels:pack",
        executable = True,
        cfg = "exec",
    ),
}

guest_image = rule(
    implementation = _image_impl,
    doc = "NAME.cpio, for guest.py.",
    attrs = _ATTRIBUTES,
)
