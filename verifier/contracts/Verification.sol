// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import {Bn254} from "./Bn254.sol";
import {KerrosErrors} from "./Errors.sol";
import {KeyCode} from "./KeyCode.sol";
import {Transcript} from "./Transcript.sol";
import {Post} from "./Types.sol";

/// @title The equations of a batch, of growth and of an escape (protocol, sections 3, 5 and 7)
/// @notice Everything here ends in one call of the pairing precompile. Knows no storage, no queue.
///         Coordinates must be below q before they come here (`requireWords`), because points
///         are negated by hand; that they lie on the curve is left to the precompiles.
library Verification {
    /// What the transcript gave, and the statement's scalars that are not in the call.
    struct Challenges {
        uint256 beta;
        uint256 z;
        uint256 gamma;
        uint256 y;
        uint256 domain;
        /// Size of the (grown) ledger: n = 2^k.
        uint8 k;
    }

    /// @dev Refuses scalars >= r and coordinates >= q among the words a poster sends.
    function requireWords(Post calldata p) internal pure {
        Bn254.requireScalar(p.h);
        Bn254.requireScalar(p.A);
        Bn254.requireScalar(p.Delta);
        Bn254.requireScalar(p.Z);
        for (uint256 i = 0; i < 6; ++i) {
            Bn254.requireCoordinate(p.oldC[i]);
            Bn254.requireCoordinate(p.grownC[i]);
            Bn254.requireCoordinate(p.newC[i]);
        }
        for (uint256 i = 0; i < 2; ++i) {
            Bn254.requireCoordinate(p.Q[i]);
            Bn254.requireCoordinate(p.W[i]);
        }
        for (uint256 i = 0; i < 8; ++i) {
            Bn254.requireCoordinate(p.proof[i]);
        }
    }

    /// @dev The Groth16 equation e(A,B) = e(alpha,beta2) e(I,G2) e(C,delta2), I the combination of
    ///      IC with the public inputs, and the opening equation e(E + zW, G2) = e(W, [tau]_2),
    ///      the latter raised to rho. All on one side, with gamma2 = G2:
    ///
    ///      e(A, B) e(-alpha, beta2) e(-I + rho(E + zW), G2) e(-C, delta2) e(-rho W, [tau]_2) = 1
    ///
    ///      Groth16 contributes left side over right side, hence -alpha, -I, -C; the opening
    ///      contributes (left over right)^rho, hence +rho(E + zW) on G2 and -rho W on [tau]_2.
    function requireBatch(address keyCode, Post calldata p, uint256[6] memory oldC, Challenges memory t)
        internal
        view
    {
        uint256[38] memory key = KeyCode.load(keyCode);
        uint256 rho = Transcript.rho(t.z, p);

        uint256[5] memory shared;
        _subtractInputs(shared, key, p, t);
        _addOpening(shared, p, oldC, t, rho);
        uint256[5] memory witness;
        Bn254.addProduct(witness, p.W[0], p.W[1], Bn254.R - rho);

        uint256[30] memory couples;
        couples[0] = p.proof[0];
        couples[1] = p.proof[1];
        couples[2] = p.proof[2];
        couples[3] = p.proof[3];
        couples[4] = p.proof[4];
        couples[5] = p.proof[5];
        couples[6] = key[KeyCode.ALPHA];
        couples[7] = Bn254.negateY(key[KeyCode.ALPHA + 1]);
        couples[12] = shared[0];
        couples[13] = shared[1];
        couples[18] = p.proof[6];
        couples[19] = Bn254.negateY(p.proof[7]);
        couples[24] = witness[0];
        couples[25] = witness[1];
        for (uint256 i = 0; i < 4; ++i) {
            couples[8 + i] = key[KeyCode.BETA + i];
            couples[14 + i] = key[KeyCode.GAMMA + i];
            couples[20 + i] = key[KeyCode.DELTA + i];
            couples[26 + i] = key[KeyCode.TAU + i];
        }
        uint256 words;
        assembly ("memory-safe") {
            words := couples
        }
        if (!Bn254.productIsOne(words, 5)) revert KerrosErrors.ProofRejected();
    }

    /// @dev sum -= IC0 + h IC1 + beta IC2 + z IC3 + y IC4 + A IC5 + Delta IC6 + Z IC7 + n IC8 + domain IC9.
    function _subtractInputs(
        uint256[5] memory sum,
        uint256[38] memory key,
        Post calldata p,
        Challenges memory t
    ) private view {
        uint256[10] memory inputs =
            [1, p.h, t.beta, t.z, t.y, p.A, p.Delta, p.Z, uint256(1) << t.k, t.domain];
        for (uint256 i = 0; i < 10; ++i) {
            Bn254.addProduct(sum, key[KeyCode.IC + 2 * i], key[KeyCode.IC + 2 * i + 1], Bn254.R - inputs[i]);
        }
    }

    /// @dev sum += rho (E + zW) with
    ///      E = sum_j beta^j [C_j + gamma (C'_j - C_j)] - Z Q - c (A + gamma Delta) [1]_1,
    ///      c = (z^n - 1) / n.
    function _addOpening(
        uint256[5] memory sum,
        Post calldata p,
        uint256[6] memory oldC,
        Challenges memory t,
        uint256 rho
    ) private view {
        uint256 r = Bn254.R;
        uint256 weight = rho;
        for (uint256 j = 0; j < 3; ++j) {
            uint256 weightNew = mulmod(weight, t.gamma, r);
            Bn254.addProduct(sum, oldC[2 * j], oldC[2 * j + 1], addmod(weight, r - weightNew, r));
            Bn254.addProduct(sum, p.newC[2 * j], p.newC[2 * j + 1], weightNew);
            weight = mulmod(weight, t.beta, r);
        }
        Bn254.addProduct(sum, p.Q[0], p.Q[1], r - mulmod(rho, p.Z, r));
        Bn254.addProduct(sum, p.W[0], p.W[1], mulmod(rho, t.z, r));

        uint256 constants = addmod(p.A, mulmod(t.gamma, p.Delta, r), r);
        constants = mulmod(constants, _lagrangeFactor(t.z, t.k), r);
        Bn254.addProduct(sum, 1, 2, r - mulmod(rho, constants, r));
    }

    /// @dev c = (z^n - 1) / n for n = 2^k; one half is (r + 1) / 2.
    function _lagrangeFactor(uint256 z, uint256 k) private pure returns (uint256) {
        uint256 r = Bn254.R;
        uint256 vanishing = addmod(Bn254.squareTimes(z, k), r - 1, r);
        return mulmod(vanishing, Bn254.power((r + 1) / 2, k), r);
    }

    /// @dev e(2C'_j - C_j, G2) = e(C_j, [tau^n]_2) for the three j at once, weighed by powers of
    ///      zeta: e(sum zeta^j (2C'_j - C_j), G2) e(-sum zeta^j C_j, [tau^n]_2) = 1. k is the size before.
    function requireGrowth(
        uint256[4] memory tauPower,
        uint256[6] memory before,
        uint256[6] memory grown,
        uint8 k
    ) internal view {
        uint256 zeta = Transcript.growth(before, grown, k);
        uint256[5] memory left;
        uint256[5] memory right;
        uint256 weight = 1;
        for (uint256 j = 0; j < 3; ++j) {
            Bn254.addProduct(left, grown[2 * j], grown[2 * j + 1], addmod(weight, weight, Bn254.R));
            Bn254.addProduct(left, before[2 * j], before[2 * j + 1], Bn254.R - weight);
            Bn254.addProduct(right, before[2 * j], before[2 * j + 1], Bn254.R - weight);
            weight = mulmod(weight, zeta, Bn254.R);
        }
        if (!_twoPairings(left, right, tauPower)) revert KerrosErrors.GrowthRejected();
    }

    /// @dev The account at x has these words:
    ///      e(sum delta^j C_j - sum delta^j w_j [1]_1 + x W, G2) e(-W, [tau]_2) = 1.
    function requireWordsAt(
        address keyCode,
        uint256[6] memory commitments,
        uint32 index,
        uint256[3] memory words,
        uint256[2] calldata witness
    ) internal view {
        uint256 r = Bn254.R;
        uint256 delta = Transcript.escape(commitments, index, words);
        uint256[5] memory left;
        uint256 weight = 1;
        uint256 value = 0;
        for (uint256 j = 0; j < 3; ++j) {
            Bn254.addProduct(left, commitments[2 * j], commitments[2 * j + 1], weight);
            value = addmod(value, mulmod(weight, words[j], r), r);
            weight = mulmod(weight, delta, r);
        }
        Bn254.addProduct(left, 1, 2, r - value);
        Bn254.addProduct(left, witness[0], witness[1], point(index));

        uint256[5] memory right;
        Bn254.addProduct(right, witness[0], witness[1], r - 1);
        uint256[38] memory key = KeyCode.load(keyCode);
        uint256[4] memory tau =
            [key[KeyCode.TAU], key[KeyCode.TAU + 1], key[KeyCode.TAU + 2], key[KeyCode.TAU + 3]];
        if (!_twoPairings(left, right, tau)) revert KerrosErrors.OpeningRejected();
    }

    /// @dev x(i): the product over the bits i_j of i of (omega_{2^(j+1)})^{i_j}, for i < 2^28.
    function point(uint32 index) internal pure returns (uint256 x) {
        // omega_{2^28} = 5^((r-1)/2^28); its squares are the roots of the smaller orders.
        uint256 omega = 19103219067921713944291392827692070036145651957329286315305642004821462161904;
        x = 1;
        for (uint256 bit = 28; bit > 0; --bit) {
            if ((index >> (bit - 1)) & 1 == 1) x = mulmod(x, omega, Bn254.R);
            omega = mulmod(omega, omega, Bn254.R);
        }
    }

    /// @dev e(left, G2) e(right, other) = 1.
    function _twoPairings(uint256[5] memory left, uint256[5] memory right, uint256[4] memory other)
        private
        view
        returns (bool)
    {
        uint256[12] memory couples = [
            left[0],
            left[1],
            Bn254.G2_X1,
            Bn254.G2_X0,
            Bn254.G2_Y1,
            Bn254.G2_Y0,
            right[0],
            right[1],
            other[0],
            other[1],
            other[2],
            other[3]
        ];
        uint256 words;
        assembly ("memory-safe") {
            words := couples
        }
        return Bn254.productIsOne(words, 2);
    }
}
