# SPDX-License-Identifier: Apache-2.0
"""launch/fetch-data.sh against a server of this machine: nothing here reaches the network.

What this cannot show: that the real addresses are still there.
"""

import hashlib
import http.server
import io
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import unittest
import zipfile

ROOT = pathlib.Path(sys.argv.pop(1))
SCRIPT = ROOT / "launch" / "fetch-data.sh"
CONTENT = bytes(range(256)) * 4096  # 1 MiB


def networks_archive():
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("human-tfs.csv", "mouse-tfs.csv", "Networks/mouse/STRING-network.csv"):
            archive.writestr("BEELINE-Networks/" + name, name)
    return buffer.getvalue()


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves server.files; answers ranges unless server.ranges is off; stops halfway while server.breaks > 0."""

    def do_GET(self):
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        first = 0
        asked = self.headers.get("Range")
        self.server.asked.append(asked)
        if asked and self.server.ranges:
            first = int(asked.removeprefix("bytes=").split("-")[0])
            if first >= len(content):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - first))
        self.end_headers()
        body = content[first:]
        if self.server.breaks > 0:
            self.server.breaks -= 1
            body = body[: len(body) // 2]
            self.close_connection = True
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class FetchData(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.files = {"/data.h5": CONTENT, "/networks.zip": networks_archive(), "/human.gtf.gz": b"annotation"}
        self.server.asked, self.server.ranges, self.server.breaks = [], True, 0
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.out = self.folder / "data"
        self.program = self.folder / "program"
        self.program.write_text(
            '#!/bin/sh\necho "$@" >>"$0.log"\nwhile [ "$1" != --out ]; do shift; done\necho prepared >"$2"\n'
        )
        self.program.chmod(0o755)
        self.sources([("raw/human-bone.h5", "data.h5")])

    def tearDown(self):
        self.server.shutdown()
        self.server.server_close()
        shutil.rmtree(self.folder)

    def sources(self, files):
        address = f"http://127.0.0.1:{self.server.server_port}/"
        lines = ["# comment", ""]
        for file, name in files:
            lines.append("\t".join([file, address + name if name else "-", "http://page/" + file, "CC0", "cells"]))
        (self.folder / "sources.tsv").write_text("\n".join(lines) + "\n")

    def fetch(self, *arguments, listed=False):
        command = [str(SCRIPT), "--out", str(self.out), *arguments]
        if not listed:
            command += ["--sources", str(self.folder / "sources.tsv")]
        environment = {**os.environ, "MGRN_PROGRAM": str(self.program), "no_proxy": "127.0.0.1"}
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=100)

    def file(self, name="raw/human-bone.h5"):
        return self.out / name

    def test_downloads_once_and_writes_down_the_checksum(self):
        first = self.fetch("--raw")
        self.assertEqual(first.returncode, 0, first.stderr)
        self.assertEqual(self.file().read_bytes(), CONTENT)
        lock = (self.out / "sources.lock").read_text()
        self.assertEqual(lock, hashlib.sha256(CONTENT).hexdigest() + "  raw/human-bone.h5\n")
        asked = len(self.server.asked)
        second = self.fetch("--raw")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("checked", second.stderr)
        self.assertEqual(len(self.server.asked), asked, "a file that is here is not asked for again")
        self.assertEqual((self.out / "sources.lock").read_text(), lock)

    def test_goes_on_where_a_download_broke_off(self):
        self.server.breaks = 100
        broken = self.fetch("--raw")
        self.assertEqual(broken.returncode, 1)
        self.assertIn("hint: Check the network", broken.stderr)
        self.assertFalse(self.file().exists())
        part = (self.out / "raw/human-bone.h5.part").stat().st_size
        self.assertGreater(part, 0)
        self.server.breaks, self.server.asked = 0, []
        again = self.fetch("--raw")
        self.assertEqual(again.returncode, 0, again.stderr)
        self.assertEqual(self.server.asked, [f"bytes={part}-"])
        self.assertEqual(self.file().read_bytes(), CONTENT)

    def test_begins_anew_where_the_server_cannot_go_on(self):
        part = self.out / "raw/human-bone.h5.part"
        part.parent.mkdir(parents=True)
        for content, ranges in ((CONTENT[:1000], False), (CONTENT + b"more", True)):
            part.write_bytes(content)
            self.server.ranges = ranges
            result = self.fetch("--raw")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.file().read_bytes(), CONTENT)
            self.file().unlink()

    def test_refuses_another_file_than_before(self):
        self.fetch("--raw")
        self.server.files["/data.h5"] = CONTENT[::-1]
        self.file().unlink()
        other = self.fetch("--raw")
        self.assertEqual(other.returncode, 1)
        self.assertIn("another file than before", other.stderr)
        self.assertIn(hashlib.sha256(CONTENT).hexdigest(), other.stderr)
        self.assertIn(hashlib.sha256(CONTENT[::-1]).hexdigest(), other.stderr)
        self.assertFalse(self.file().exists())
        # One that was changed on this disk is refused too.
        self.file().write_bytes(b"changed")
        changed = self.fetch("--raw")
        self.assertEqual(changed.returncode, 1)
        self.assertIn("another file than before", changed.stderr)

    def test_a_missing_file_on_the_server_leaves_nothing(self):
        self.sources([("raw/human-bone.h5", "gone.h5")])
        result = self.fetch("--raw")
        self.assertEqual(result.returncode, 1)
        self.assertIn("gone.h5", result.stderr)
        self.assertFalse(self.file().exists())
        self.assertFalse((self.out / "sources.lock").exists())

    def test_asks_for_files_without_an_address_after_fetching_the_others(self):
        self.sources([("raw/human-breast.h5", None), ("raw/human-bone.h5", "data.h5")])
        result = self.fetch("--raw")
        self.assertEqual(result.returncode, 1)
        self.assertIn("raw/human-breast.h5    from http://page/raw/human-breast.h5", result.stderr)
        self.assertTrue(self.file().exists())
        self.file("raw/human-breast.h5").write_bytes(b"by hand")
        result = self.fetch("--raw")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertIn(hashlib.sha256(b"by hand").hexdigest(), (self.out / "sources.lock").read_text())

    def test_unpacks_the_networks_and_prepares_each_dataset_once(self):
        self.sources(
            [
                ("raw/human-bone.h5", "data.h5"),
                ("networks/BEELINE-Networks.zip", "networks.zip"),
                ("annotation/human.gtf.gz", "human.gtf.gz"),
            ]
        )
        for _ in range(2):
            result = self.fetch()
            self.assertEqual(result.returncode, 0, result.stderr)
        self.assertTrue(self.file("networks/mouse-tfs.csv").exists())
        self.assertTrue(self.file("networks/Networks/mouse/STRING-network.csv").exists())
        self.assertTrue(self.file("prepared/human-bone.h5").exists())
        calls = pathlib.Path(str(self.program) + ".log").read_text().splitlines()
        raw = self.file()
        self.assertEqual(
            calls,
            [
                f"prepare --rna {raw} --atac {raw} --annotation {self.file('annotation/human.gtf.gz')} "
                f"--out {self.file('prepared/human-bone.h5')}"
            ],
        )

    def test_listing_and_dry_run_change_nothing(self):
        for option in ("--list", "--dry-run"):
            result = self.fetch(option)
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("raw/human-bone.h5", result.stdout)
        self.assertFalse(self.out.exists())
        self.assertEqual(self.server.asked, [])

    def test_the_papers_list_names_seven_datasets_and_both_accessions_of_bone(self):
        result = self.fetch("--list", listed=True)
        self.assertEqual(result.returncode, 0, result.stderr)
        datasets = [line.split()[0] for line in result.stdout.splitlines() if line.startswith("raw/")]
        self.assertEqual(len(datasets), 7)
        for accession in ("GSE263178", "GSE255646", "GSM7821208"):
            self.assertIn(accession, result.stdout)
        self.assertEqual(result.stdout.count("licence"), len(result.stdout.splitlines()) // 5)

    def test_says_what_is_wrong_with_its_arguments(self):
        for arguments, words in (
            (["--only", "nothing"], "no source has 'nothing' in its name"),
            (["--frobnicate"], "unknown argument '--frobnicate'"),
            (["--sources"], "--sources needs a value"),
        ):
            result = subprocess.run(
                [str(SCRIPT), "--out", str(self.out), *arguments], capture_output=True, text=True, timeout=100
            )
            self.assertEqual(result.returncode, 1)
            self.assertIn(words, result.stderr)
            self.assertIn("hint: ", result.stderr)


if __name__ == "__main__":
    for program in ("curl", "unzip", "flock"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program} here")
            sys.exit(77)
    unittest.main()
