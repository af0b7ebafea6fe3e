"""Programs that are built for arm64 as part of a build for another machine."""

def _to_arm64_impl(_settings, _attr):
    return {
        "//command_line_option:platform_suffix": "-arm64",
        "//command_line_option:platforms": "//toolchains:linux_aarch64",
    }

to_arm64 = transition(
    implementation = _to_arm64_impl,
    inputs = [],
    outputs = [
        "//command_line_option:platform_suffix",
        "//command_line_option:platforms",
    ],
)

def _arm64_test_impl(ctx):
    test = ctx.attr.test[0][DefaultInfo]
    script = ctx.actions.declare_file(ctx.label.name)
    ctx.actions.write(
        script,
        "#!/bin/sh\nexec %s %s \"$@\"\n" % (ctx.executable._run.short_path, test.files_to_run.executable.short_path),
        is_executable = True,
    )
    runfiles = ctx.runfiles(files = [test.files_to_run.executable])
    runfiles = runfiles.merge(test.default_runfiles).merge(ctx.attr._run[DefaultInfo].default_runfiles)
    return [DefaultInfo(executable = script, runfiles = runfiles)]

arm64_test = rule(
    implementation = _arm64_test_impl,
    test = True,
    doc = "A test that is built for arm64 and runs in QEMU's user mode, which has no ptrace.",
    attrs = {
        "test": attr.label(mandatory = True, cfg = to_arm64),
        "_run": attr.label(default = "//toolchains:run_arm64", executable = True, cfg = "target"),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
)
