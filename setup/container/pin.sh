#!/usr/bin/env bash
# Write the digest behind each image's tag into Dockerfile and compose.yaml; asks the registry.
#
# Again for an image that has one: take the digest out first, so that a new one is a decision.
set -euo pipefail
cd "$(dirname "$0")/../.."

images() {
    sed -n 's/^FROM \([^ @]*:[^ @]*\)\( .*\)\{0,1\}$/\1/p' Dockerfile
    sed -n 's/^ *image: \([^ @]*:[^ @]*\)$/\1/p' compose.yaml | grep -v '^finer1:'
}

for image in $(images | sort -u); do
    digest=$(docker buildx imagetools inspect "$image" --format '{{.Manifest.Digest}}')
    if ! [[ $digest =~ ^sha256:[0-9a-f]{64}$ ]]; then
        echo "pin: no digest of $image, but: $digest" >&2
        exit 3
    fi
    sed -i "s#$image\( \|\$\)#$image@$digest\1#" Dockerfile compose.yaml
    echo "$image@$digest"
done
