#!/bin/sh
# Éüµì¤ÎÁ°¤Ë
exit 0
