"""``hallctl fleet`` as processes of their own: several desks at one broker."""

import asyncio
import os
import sys


async def start_cli(fleet, *args: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "hallctl.cli.main",
        "fleet",
        *args,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "HALLCTL_BROKER": f"mqtt://{fleet.broker.host}:{fleet.broker.port}", "COLUMNS": "200"},
    )


async def run_cli(fleet, *args: str, seconds: float = 60) -> tuple[int, str, str]:
    process = await start_cli(fleet, *args)
    async with asyncio.timeout(seconds):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


async def line_with(process: asyncio.subprocess.Process, text: str, seconds: float = 40) -> str:
    async with asyncio.timeout(seconds):
        while line := (await process.stdout.readline()).decode():
            if text in line:
                return line
    raise AssertionError(f"{text} never came: {(await process.stderr.read()).decode()}")


async def desk_process(fleet, path, *args: str) -> asyncio.subprocess.Process:
    return await start_cli(fleet, "push", str(path), "--health-window", "1", "--beat", "0.3", *args)
