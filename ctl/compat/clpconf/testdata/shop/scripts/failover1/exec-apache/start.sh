#!/bin/sh
exec /usr/sbin/httpd -DFOREGROUND
