"""Counts to three, then crashes. Loom waits a little longer before each new start, and `loom status` says why."""

import sys
import time

for number in (1, 2, 3):
    print("count", number)
    time.sleep(1)
sys.exit("flaky: three is as far as I can count")
